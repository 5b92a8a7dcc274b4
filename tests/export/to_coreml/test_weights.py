"""Compressed Core ML packages: every matrix as asked, and worth what its stored integers say,
worked out here again.
"""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from family_networks import glimpses
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from edgernn.bundle.stored_weights import OTHERS, StoredWeight
from edgernn.contract import ENCODE, Decoding, FileContract
from edgernn.errors import ContractError, UsageError
from edgernn.export.to_coreml.exporter import CoreMLExporter, CoreMLStateExporter
from edgernn.export.to_coreml.weights import (
    SCHEMES,
    palette,
    part_near,
    refuse_floats,
    weight_table,
)
from edgernn.models.captioner import Captioner
from edgernn.models.cells.table import FUSED
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.parity import rollout
from edgernn.sessions.draw import random_state
from edgernn.sessions.mil.borrowed import decompress
from edgernn.sessions.mil.session import MilSession, read_function

with contextlib.redirect_stderr(io.StringIO()):  # one line per library that exists on macOS only
    from coremltools.converters.mil.mil import types

MakeModel = Callable[..., LanguageModel]
LEVELS = {
    "int8": 254,
    "int4": 15,
    "palettized4": 15,
}  # steps between the smallest and the largest value


def export(model: Any, path: Path, precision: str, **options: Any) -> tuple[StoredWeight, ...]:
    return (
        CoreMLExporter()
        .export(model, path, precision=precision, decoding=Decoding(), **options)
        .weights
    )


def bits_of(var: Any) -> int:
    return int(types.builtin_to_string(var.dtype).lstrip("uintfp"))


def stretched(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Repeat each number of ``array`` over its block."""
    for axis, size in enumerate(shape):
        array = np.repeat(array, size // array.shape[axis], axis)
    return array


def by_definition(operation: Any) -> np.ndarray:
    """What a compressed weight stands for, from Apple's definitions of the three operators;
    float32.
    """
    given = {
        name: np.asarray(var.val)
        for name, var in operation.inputs.items()
        if var is not None and var.val is not None
    }
    if operation.op_type == "constexpr_affine_dequantize":
        data = given["quantized_data"].astype(np.float32)
        scale, zero = (
            given[name].astype(np.float32).reshape(-1, *[1] * (data.ndim - 1))
            for name in ("scale", "zero_point")
        )
        return (data - zero) * scale  # one of each for a row
    if operation.op_type == "constexpr_blockwise_shift_scale":
        data = given["data"].astype(np.float32)
        zero = stretched(given["offset"].astype(np.float32), data.shape) if "offset" in given else 0
        return (data - zero) * stretched(given["scale"].astype(np.float32), data.shape)
    assert operation.op_type == "constexpr_lut_to_dense"
    indices, tables = given["indices"].astype(int), stretched(given["lut"], given["indices"].shape)
    return np.take_along_axis(tables[..., 0], indices[..., None], -1)[..., 0].astype(np.float32)


def compressed(path: Path) -> dict[str, Any]:
    """Name → operator of every compressed weight."""
    return {
        op.name: op for op in read_function(path).operations if op.op_type.startswith("constexpr_")
    }


@pytest.mark.parametrize("exporter", [CoreMLExporter, CoreMLStateExporter])
@pytest.mark.parametrize("precision", SCHEMES)
def test_the_interpreter_reads_weights_as_they_are_defined(
    make_model: MakeModel, tmp_path: Path, precision: str, exporter: type[CoreMLExporter]
) -> None:
    model = make_model(hidden=64, embedding=32)
    path = tmp_path / "step.mlpackage"
    exporter().export(model, path, precision=precision, decoding=Decoding())
    found = compressed(path)
    assert len(found) == 4  # the embedding, two layers, the head
    for operation in found.values():
        (values,) = decompress(operation)
        expected = by_definition(operation)
        np.testing.assert_array_equal(values, expected.astype(np.float16))
    face = copy.deepcopy(model).step_face()
    wanted = [p.detach().numpy() for p in face.parameters() if p.ndim == 2]
    for weight in wanted:
        same = [
            by_definition(op) for op in found.values() if tuple(op.outputs[0].shape) == weight.shape
        ]
        step = (weight.max() - weight.min()) / LEVELS[precision]
        # A palette is dense where values are: its outermost steps are wider than even ones.
        assert (
            min(np.abs(values - weight).max() for values in same)
            < (2.5 if precision == "palettized4" else 0.6) * step
        )


@pytest.mark.parametrize("precision", SCHEMES)
@pytest.mark.parametrize("cell", FUSED)
def test_a_package_is_the_model_with_its_stored_weights(
    make_model: MakeModel, tmp_path: Path, cell: str, precision: str
) -> None:
    model = make_model(cell=cell, layers=1, hidden=16, embedding=12)
    for name, parameter in model.named_parameters():
        parameter.data *= (
            0.5 if "weight_hh" in name else 1
        )  # keeps the rectified RNN within float16
    path = tmp_path / "step.mlpackage"
    written = CoreMLExporter().export(model, path, precision=precision, decoding=Decoding())
    session = MilSession.open(
        path, FileContract(contract=model.config.contract(), narrowing=written.narrowing)
    )
    stored = {tuple(op.outputs[0].shape): by_definition(op) for op in compressed(path).values()}
    same = copy.deepcopy(model).step_face().requires_grad_(False)
    for parameter in same.parameters():
        if parameter.ndim == 2:
            parameter.data = torch.tensor(stored.pop(tuple(parameter.shape)))
    assert not stored
    plan = rollout.Plan(1, (1,) * 24)
    assert (
        rollout.compare(EagerSession(same), session, plan, seed=3).worst.scaled < 2e-2
    )  # products of float16
    assert rollout.compare(EagerSession(model), session, plan, seed=3).worst.scaled > 1e-3


@pytest.mark.parametrize("precision", [*SCHEMES, "float16", "float32"])
def test_the_table_is_what_the_file_holds(
    make_model: MakeModel, tmp_path: Path, precision: str
) -> None:
    model = make_model(hidden=64, embedding=32)
    path = tmp_path / "step.mlpackage"
    table = export(model, path, precision)
    *matrices, others = table
    vocabulary = model.config.vocabulary
    assert [(w.name, w.shape, w.recurrent) for w in matrices] == [
        ("embedding", (vocabulary, 32), False),
        ("recurrent.layers.0.joined", (256, 96), True),
        ("recurrent.layers.1.joined", (256, 128), True),
        ("head", (vocabulary, 64), False),
    ]
    assert {weight.dtype for weight in matrices} == {precision}
    assert all(weight.float32_bytes == 4 * prod(weight.shape) for weight in matrices)
    assert [w.touched_bytes == w.bytes for w in table] == [
        False,
        True,
        True,
        True,
        True,
    ]  # of the embedding one row
    assert table[0].touched_bytes == table[0].bytes // vocabulary
    assert others.name == OTHERS
    stored = (path / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size
    assert (
        sum(weight.bytes for weight in table)
        <= stored
        < 1.1 * sum(weight.bytes for weight in table) + 4096
    )
    if precision in SCHEMES:
        for weight, operation in zip(matrices, compressed(path).values(), strict=True):
            held = {
                name: var
                for name, var in operation.inputs.items()
                if var is not None and name not in {"axis", "shape"}
            }
            assert weight.bytes == sum(
                -(-var.val.size * bits_of(var) // 8) for var in held.values()
            )
    assert weight_table(path)[0].name == "model_embedding_weight"  # without the layers' names


@pytest.mark.parametrize(
    ("precision", "most"), [("int8", 0.27), ("int4", 0.16), ("palettized4", 0.145)]
)
def test_a_matrix_takes_the_bits_that_it_promises(
    make_model: MakeModel, tmp_path: Path, precision: str, most: float
) -> None:
    table = export(make_model(hidden=64, embedding=64), tmp_path / "step.mlpackage", precision)
    for weight in table[:-1]:
        assert weight.bytes < most * weight.float32_bytes, weight


@pytest.mark.parametrize("precision", SCHEMES)
@pytest.mark.parametrize("hidden", [20, 33])
def test_widths_that_32_does_not_divide(
    make_model: MakeModel, tmp_path: Path, hidden: int, precision: str
) -> None:
    model = make_model(cell="gru", hidden=hidden, embedding=7)
    path = tmp_path / "step.mlpackage"
    table = export(model, path, precision)
    assert {weight.dtype for weight in table[:-1]} == {precision}
    for operation in compressed(path).values():
        np.testing.assert_array_equal(
            decompress(operation)[0], by_definition(operation).astype(np.float16)
        )


@pytest.mark.parametrize("value", [0.0, 0.25, -3.0])
@pytest.mark.parametrize("precision", SCHEMES)
def test_constant_weights_stay_what_they_are(
    make_model: MakeModel, tmp_path: Path, precision: str, value: float
) -> None:
    model = make_model(layers=1)
    nn.init.constant_(model.head.weight, value)
    nn.init.constant_(model.recurrent.fused.weight_hh_l0[3], 0)  # one row alone
    path = tmp_path / "step.mlpackage"
    export(model, path, precision)
    (head,) = (op for name, op in compressed(path).items() if "head" in name)
    assert np.abs(decompress(head)[0] - value).max() <= 2e-3 * abs(value)
    written = FileContract(
        contract=model.config.contract(),
        narrowing=CoreMLExporter().narrowing(model.config.contract().step, precision),
    )
    outputs, _ = MilSession.open(path, written).step(
        {"tokens": np.array([[3]])}, random_state(model.config.contract(), batch=1, seed=1)
    )
    assert np.isfinite(outputs["logits"]).all()


@pytest.mark.parametrize("precision", SCHEMES)
def test_weights_beyond_float16_are_compressed_from_float32(
    make_model: MakeModel, tmp_path: Path, precision: str
) -> None:
    model = make_model()
    with torch.no_grad():
        model.head.weight[1, 2] = 1e5  # float16 ends at 65504
    path = tmp_path / "step.mlpackage"
    assert {weight.dtype for weight in export(model, path, precision)[:-1]} == {precision}
    (head,) = (op for name, op in compressed(path).items() if "head" in name)
    assert decompress(head)[0][1, 2] == pytest.approx(1e5, rel=1e-3)


def test_a_matrix_that_stayed_in_floats_is_refused() -> None:
    def weight(name: str, shape: tuple[int, ...], dtype: str) -> StoredWeight:
        return StoredWeight(name, shape, dtype, 0, 0, 0)

    good = [
        weight("a", (4, 4), "int4"),
        weight("tiny", (1, 5), "float16"),
        weight(OTHERS, (), "float16"),
    ]
    refuse_floats(good, "int4")
    refuse_floats([*good, weight("head", (40, 4), "float16")], "float16")
    with pytest.raises(
        ContractError,
        match=r"left head \[40, 4\], odd \[4, 5\] in floats, expected int4; export another",
    ):
        refuse_floats(
            [*good, weight("head", (40, 4), "float16"), weight("odd", (4, 5), "float32")], "int4"
        )


def test_what_the_optimiser_skips_is_noticed(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edgernn.export.to_coreml.weights.part_near", lambda size, wanted, *, each=1: 32
    )
    with pytest.raises(
        ContractError, match=r"left embedding \[34, 6\], .*head \[34, 8\] in floats, expected int4"
    ):
        export(make_model(), tmp_path / "step.mlpackage", "int4")


@pytest.mark.parametrize("precision", SCHEMES)
def test_a_tied_matrix_is_stored_once(
    make_model: MakeModel, tmp_path: Path, precision: str
) -> None:
    model = make_model(tied=True, embedding=8)
    table = export(model, tmp_path / "step.mlpackage", precision)
    tied = [weight for weight in table if weight.shape == (model.config.vocabulary, 8)]
    assert [weight.dtype for weight in tied] == [precision]
    assert tied[0].touched_bytes == tied[0].bytes  # the head reads all of it


def test_both_graphs_of_a_captioner_in_int8(
    make_captioner: Callable[..., Captioner], tmp_path: Path
) -> None:
    model, path = make_captioner(), tmp_path / "encode.mlpackage"
    encode = export(model, path, "int8", graph=ENCODE)
    assert {weight.dtype for weight in encode[:-1]} == {"int8"}  # kernels of convolutions, too
    assert max(len(weight.shape) for weight in encode) == 4
    for operation in compressed(path).values():
        np.testing.assert_array_equal(
            decompress(operation)[0], by_definition(operation).astype(np.float16)
        )


@pytest.mark.parametrize("precision", ["int4", "palettized4"])
def test_an_image_encoder_is_not_stored_in_four_bits(
    make_captioner: Callable[..., Captioner], tmp_path: Path, precision: str
) -> None:
    with pytest.raises(UsageError, match=f"coreml does not write encode in {precision}"):
        export(make_captioner(), tmp_path / "encode.mlpackage", precision, graph=ENCODE)


def test_a_matrix_of_few_rows_keeps_8_bits_in_int4(tmp_path: Path) -> None:
    model = Network(NetworkConfig.model_validate(glimpses().config)).eval()
    path = tmp_path / "step.mlpackage"
    step = CoreMLExporter().export(model, path, precision="int4", decoding=None).weights
    stored = {weight.name.rpartition(".")[2]: weight.dtype for weight in step[:-1]}
    assert stored.pop("next") == stored.pop("scores") == "int8"  # 2 and 3 rows
    assert set(stored.values()) == {"int4"}


@pytest.mark.parametrize("precision", SCHEMES)
def test_the_step_of_a_captioner(
    make_captioner: Callable[..., Captioner], tmp_path: Path, precision: str
) -> None:
    step = export(make_captioner(), tmp_path / "step.mlpackage", precision)
    floats = {weight.name for weight in step[:-1] if weight.dtype != precision}
    assert (
        not floats
    )  # the five values of attention's energy stand in the program's text, with the biases
    assert [weight.name for weight in step if weight.recurrent] == ["decoder.layers.0.joined"]


@given(
    hnp.arrays(
        np.float16,
        hnp.array_shapes(max_dims=2, max_side=40),
        elements=st.floats(-100, 100, width=16),
    )
)
@settings(max_examples=100, deadline=None)
def test_a_palette_is_rising_and_every_value_gets_the_nearest(values: np.ndarray) -> None:
    table, places = palette(values)
    assert table.shape == (16,)
    assert table.dtype == np.float16
    assert places.dtype == np.uint8
    assert (np.diff(table.astype(np.float64)) >= 0).all()
    flat = values.astype(np.float64).ravel()
    errors = np.abs(flat - table[places])
    np.testing.assert_array_equal(errors, np.abs(flat[:, None] - table.astype(np.float64)).min(1))
    if len(np.unique(values)) == 1:
        assert errors.max() == 0


def test_a_palette_is_near_the_best_one() -> None:
    values = np.random.default_rng(0).normal(size=1024).astype(np.float16)
    table, places = palette(values)
    error = np.mean((values.astype(np.float64) - table[places]) ** 2)
    even = np.linspace(values.min(), values.max(), 16).astype(np.float64)
    rounded = np.abs(values[:, None] - even).min(1)
    # what 16 levels leave of a normal distribution at best (Max 1960); this sample is cut shorter
    assert error < 0.0095
    assert error < 0.6 * np.mean(rounded**2)


@pytest.mark.parametrize(
    ("size", "each", "expected"),
    [(320, 1, 32), (20, 1, 20), (33, 1, 33), (66, 1, 33), (322, 1, 23), (386, 1, 193), (3, 16, 3)],
)
def test_a_part_divides_and_is_the_nearest(size: int, each: int, expected: int) -> None:
    assert part_near(size, 32, each=each) == expected
