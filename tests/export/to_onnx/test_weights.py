"""The table of weights is what stands in the file: every byte of it once, and what a step reads of
each.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path

import onnx
import pytest

from edgernn.bundle.stored_weights import OTHERS, StoredWeight
from edgernn.contract import Decoding, GraphWord
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.export.to_onnx.weights import weight_table
from edgernn.formats.promise import NARROW
from edgernn.models.captioner import Captioner
from edgernn.models.cells.table import FUSED
from edgernn.models.language import LanguageModel

MakeModel = Callable[..., LanguageModel]
PRECISIONS = ("float32", "float16", "int8", "int4")


def export(
    model: LanguageModel | Captioner, path: Path, precision: str, graph: GraphWord = "step"
) -> tuple[StoredWeight, ...]:
    OnnxExporter().export(model, path, precision=precision, decoding=Decoding(), graph=graph)
    return weight_table(onnx.load(str(path)))


def stored_bytes(path: Path) -> int:
    return sum(
        onnx.numpy_helper.to_array(tensor).nbytes
        for tensor in onnx.load(str(path)).graph.initializer
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("cell", FUSED)
def test_it_counts_every_byte_once(
    make_model: MakeModel, tmp_path: Path, cell: str, precision: str
) -> None:
    path = tmp_path / "step.onnx"
    weights = export(make_model(cell=cell, hidden=33, embedding=20), path, precision)
    assert sum(weight.bytes for weight in weights) == stored_bytes(path)
    assert len({weight.name for weight in weights}) == len(weights)
    for weight in weights:
        assert 0 < weight.touched_bytes <= weight.bytes
        assert weight.float32_bytes == 4 * prod(weight.shape) or weight.name == OTHERS


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("cell", FUSED)
def test_what_the_state_is_multiplied_with_is_recurrent(
    make_model: MakeModel, tmp_path: Path, cell: str, precision: str
) -> None:
    weights = export(make_model(cell=cell, layers=3), tmp_path / "step.onnx", precision)
    flagged = [weight.name for weight in weights if weight.recurrent]
    assert len(flagged) == 3
    assert all(
        name.startswith("recurrent.") and name.endswith(("from_hidden", "joined"))
        for name in flagged
    )


def test_the_exporter_tells_what_is_in_its_file(make_model: MakeModel, tmp_path: Path) -> None:
    written = OnnxExporter().export(
        make_model(), tmp_path / "s.onnx", precision="int8", decoding=Decoding()
    )
    assert written.weights == weight_table(onnx.load(str(tmp_path / "s.onnx")))


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", "float32"), ("float16", "float16"), ("int8", "int8")]
)
def test_of_a_table_a_step_reads_one_row(
    make_model: MakeModel, tmp_path: Path, precision: str, dtype: str
) -> None:
    model = make_model(embedding=32, hidden=32)
    table, *_ = export(model, tmp_path / "step.onnx", precision)
    rows = model.config.vocabulary
    assert (table.name, table.dtype) == ("embedding", dtype)
    assert table.shape == (rows, 128 if precision == "int8" else 32), "folded: the gates of a token"
    width = {"float32": 4 * 32, "float16": 2 * 32, "int8": 128 + 4}[precision]
    assert (table.bytes, table.touched_bytes) == (rows * width, width)


def test_bits_and_blocks_are_those_of_the_file(make_model: MakeModel, tmp_path: Path) -> None:
    weights = {
        w.name: w
        for w in export(make_model(hidden=128, embedding=16), tmp_path / "step.onnx", "int4")
    }
    head = weights["head"]
    assert (head.dtype, head.block_size, head.recurrent) == ("int4", 128, False)
    assert head.bytes == head.touched_bytes == head.shape[0] * (128 // 2 + 4)
    assert weights["recurrent.layers.0.from_hidden"].recurrent
    assert weights["recurrent.layers.1.joined"].shape == (512, 256)


def test_biases_come_last_and_together(make_model: MakeModel, tmp_path: Path) -> None:
    *weights, rest = export(make_model(), tmp_path / "step.onnx", "int8")
    assert (rest.name, rest.shape, rest.dtype) == (OTHERS, (), "float32")
    assert rest.bytes == rest.touched_bytes >= 4 * (32 + 34)
    assert OTHERS not in {weight.name for weight in weights}


def test_biases_in_float16_are_told_as_such(make_model: MakeModel, tmp_path: Path) -> None:
    rest = {p: export(make_model(hidden=64), tmp_path / p, p)[-1] for p in ("float32", "float16")}
    assert rest["float32"].name == rest["float16"].name == OTHERS
    assert rest["float16"].float32_bytes == rest["float32"].float32_bytes
    assert rest["float16"].bytes < rest["float32"].bytes


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_captioner(
    make_captioner: Callable[..., Captioner], tmp_path: Path, precision: str
) -> None:
    model, path = make_captioner(), tmp_path / "step.onnx"
    weights = export(model, path, precision)
    assert sum(weight.bytes for weight in weights) == stored_bytes(path)
    assert {"embedding", "head", "query_state", "decoder.layers.0.joined"} <= {
        weight.name for weight in weights
    }
    assert [weight.name for weight in weights if weight.recurrent] == ["decoder.layers.0.joined"]
    matrices = [weight for weight in weights if len(weight.shape) > 1]
    halved = [
        w for w in matrices if precision != "float16" or prod(w.shape) >= 64
    ]  # a smaller one is not worth a cast
    assert {weight.dtype for weight in halved if weight.shape[0] > NARROW} == {precision}


def test_an_image_encoder(make_captioner: Callable[..., Captioner], tmp_path: Path) -> None:
    path = tmp_path / "encode.onnx"
    weights = export(make_captioner(), path, "float16", "encode")
    kernels = [weight for weight in weights if len(weight.shape) == 4]
    assert kernels
    assert {weight.dtype for weight in kernels} == {"float16"}
    assert sum(weight.bytes for weight in weights) == stored_bytes(path)
