"""The ONNX file: one fused operator per layer, axes open where the contract leaves them open, no
warning at any size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from edgernn.contract import METADATA_KEY, Decoding, FileContract, Narrowing
from edgernn.errors import ContractError
from edgernn.export.rounding.compression import Compression
from edgernn.export.to_onnx.exporter import RECIPES, OnnxExporter
from edgernn.export.to_onnx.tracing import step_graph
from edgernn.families.language import text_feeds
from edgernn.formats.onnx import ONNX
from edgernn.models.cells.table import FUSED, cell_class
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.parity.rollout import Plan, compare
from edgernn.sessions.draw import random_inputs, random_state
from edgernn.sessions.opening import open_session

MakeModel = Callable[..., LanguageModel]
OPERATORS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "rnn_relu": "RNN"}
RECURRENT = {"LSTM", "GRU", "RNN"}
SIZES = [(1, 1), (3, 7), (2, 64)]


def export(model: LanguageModel, path: Path) -> Path:
    OnnxExporter().export(model, path, precision="float32", decoding=Decoding())
    return path


@pytest.fixture(scope="module")
def files(make_model: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One three-layer file per cell."""
    folder = tmp_path_factory.mktemp("onnx")
    return {
        cell: export(make_model(cell=cell, layers=3), folder / f"{cell}.onnx") for cell in FUSED
    }


def nodes_of(model: onnx.ModelProto, kinds: set[str]) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type in kinds]


@pytest.mark.parametrize("cell", FUSED)
def test_one_fused_operator_per_layer_and_no_loop(files: dict[str, Path], cell: str) -> None:
    model = onnx.load(files[cell])
    assert [node.op_type for node in nodes_of(model, RECURRENT)] == [OPERATORS[cell]] * 3
    assert not nodes_of(model, {"Loop", "Scan", "If", "Sigmoid", "Tanh"})


@pytest.mark.parametrize("cell", FUSED)
def test_weights_are_constants_and_are_not_cut_at_run_time(
    files: dict[str, Path], cell: str
) -> None:
    model = onnx.load(files[cell])
    stored = {tensor.name for tensor in model.graph.initializer}
    for node in nodes_of(model, RECURRENT):
        weights, recurrence, bias = node.input[1:4]
        assert {weights, recurrence, bias} <= stored
    for node in nodes_of(model, {"Slice", "Concat", "Split", "Transpose"}):
        data = node.input if node.op_type == "Concat" else node.input[:1]
        assert not set(data) & stored, f"{node.op_type} of weights"
    cut = {name for node in nodes_of(model, {"Slice"}) for name in node.input[:1]}
    assert cut == set(cell_class(cell).states)  # one layer of the state each


def test_a_gru_resets_after_the_product(files: dict[str, Path]) -> None:
    for node in nodes_of(onnx.load(files["gru"]), RECURRENT):
        assert {a.name: a.i for a in node.attribute}["linear_before_reset"] == 1


def test_versions_that_every_runtime_reads(files: dict[str, Path]) -> None:
    for path in files.values():
        model = onnx.load(path)
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
        assert model.ir_version == 9
        assert not [
            tensor
            for tensor in model.graph.initializer
            if tensor.data_location == onnx.TensorProto.EXTERNAL
        ]
        onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("cell", FUSED)
def test_the_file_declares_the_shapes_of_the_contract(files: dict[str, Path], cell: str) -> None:
    def declared(values: Any) -> dict[str, list[int | str]]:
        return {
            v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
            for v in values
        }

    graph = onnx.load(files[cell]).graph
    vocabulary = next(
        tensor.dims[0] for tensor in graph.initializer if tensor.name.endswith("head.bias")
    )
    state: list[int | str] = [3, "batch", 8]
    names = cell_class(cell).states
    assert declared(graph.input) == {"tokens": ["batch", "time"], **dict.fromkeys(names, state)}
    nexts = {f"{name}_next": state for name in names}
    assert declared(graph.output) == {"logits": ["batch", "time", vocabulary], **nexts}
    assert {v.name: v.type.tensor_type.elem_type for v in graph.input} == {
        "tokens": onnx.TensorProto.INT64,
        **dict.fromkeys(names, onnx.TensorProto.FLOAT),
    }


@pytest.mark.parametrize("cell", FUSED)
def test_onnxruntime_has_nothing_to_say(
    files: dict[str, Path], cell: str, capfd: pytest.CaptureFixture[str]
) -> None:
    session = open_session(files[cell])
    for batch, time in SIZES:
        inputs = random_inputs(session.contract, batch=batch, steps=time, seed=1)
        outputs, _ = session.step(inputs, random_state(session.contract, batch=batch, seed=2))
        assert outputs["logits"].shape[:2] == (batch, time)
    assert capfd.readouterr().err == ""


def test_a_frozen_shape_would_be_heard(
    files: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = onnx.load(files["gru"])
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3
    onnx.save(model, tmp_path / "frozen.onnx")
    session = open_session(tmp_path / "frozen.onnx")
    session.step(
        random_inputs(session.contract, batch=1, steps=5, seed=1),
        random_state(session.contract, batch=1, seed=2),
    )
    assert "logits" in capfd.readouterr().err


@pytest.mark.parametrize(
    "options", [{"tied": True, "embedding": 8}, {"learned_initial_state": True}], ids=str
)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", FUSED)
def test_parity_over_a_chained_run(
    make_model: MakeModel, tmp_path: Path, cell: str, layers: int, options: dict[str, Any]
) -> None:
    model = make_model(cell=cell, layers=layers, **options)
    reference, candidate = EagerSession(model), open_session(export(model, tmp_path / "step.onnx"))
    for plan in (Plan(1, (1,) * 24), Plan(3, (7, 1, 16)), Plan(2, (64,))):
        found = compare(reference, candidate, plan, seed=4)
        assert {drift.tensor for drift in found.drifts} == {t.name for t in reference.spec.outputs}
        assert found.worst.scaled <= 1e-5, found.worst


def test_a_fresh_model_whose_layers_have_equal_biases(tmp_path: Path) -> None:
    """torch writes a tensor that two layers happen to share only once."""
    torch.manual_seed(0)
    model = LanguageModel(
        LanguageConfig(vocabulary=10, cell="rnn_relu", embedding=8, hidden=8, layers=3)
    ).eval()
    candidate = open_session(export(model, tmp_path / "step.onnx"))
    assert compare(EagerSession(model), candidate, Plan(2, (1, 5, 2)), seed=4).worst.scaled <= 1e-5


def test_an_exporter_that_freezes_the_shapes_is_corrected(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = torch.onnx.export

    def write_frozen(module: Any, examples: Any, path: str, **options: Any) -> None:
        write(module, examples, path, **options)
        frozen = onnx.load(path)
        for value in (*frozen.graph.input, *frozen.graph.output):
            for dimension in value.type.tensor_type.shape.dim:
                dimension.dim_value = (
                    dimension.dim_value or 3
                )  # what torch's graph capture does to time
        (product,) = nodes_of(frozen, {"MatMul"})
        frozen.graph.value_info.append(
            onnx.helper.make_tensor_value_info(product.output[0], onnx.TensorProto.FLOAT, [2, 3, 4])
        )
        onnx.save(frozen, path)

    monkeypatch.setattr(torch.onnx, "export", write_frozen)
    model = onnx.load(export(make_model(), tmp_path / "step.onnx"))
    shapes = [
        [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim][:2]
        for v in model.graph.output
    ]
    assert shapes == [["batch", "time"], [2, "batch"], [2, "batch"]]
    assert not model.graph.value_info


@pytest.mark.parametrize("precision", ["int8", "int4"])
@pytest.mark.parametrize("cell", FUSED)
def test_in_integers_the_step_face_is_written(
    make_model: MakeModel, tmp_path: Path, cell: str, precision: str
) -> None:
    path = tmp_path / "step.onnx"
    OnnxExporter().export(make_model(cell=cell), path, precision=precision, decoding=Decoding())
    model = onnx.load(str(path))
    assert {(opset.domain, opset.version) for opset in model.opset_import} == {
        ("", 17),
        ("com.microsoft", 1),
    }
    assert model.ir_version == 9
    assert not nodes_of(model, RECURRENT | {"Shape", "Slice", "Unsqueeze", "Loop"})
    shapes = [
        [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim][:2]
        for v in model.graph.input
    ]
    assert shapes == [["batch", 1], *[[2, "batch"]] * len(cell_class(cell).states)]


def test_an_embedding_is_folded_where_that_pays(make_model: MakeModel) -> None:
    model, narrowing = make_model(), Narrowing(axes={"time": 1})
    contract = FileContract(contract=model.config.contract(), narrowing=narrowing)
    assert model.folding_pays(8)
    _, recipe = step_graph(make_model().requires_grad_(False), contract, RECIPES["int4"])
    assert recipe.folded
    assert recipe.layers["embedding"].bits == 8, (
        "one row of a table is read a step: fewer bits would save no time"
    )
    _, recipe = step_graph(
        make_model().requires_grad_(False), contract, replace(RECIPES["int4"], folded=False)
    )
    assert (recipe.folded, dict(recipe.layers)) == (False, {})
    large = LanguageModel(LanguageConfig(vocabulary=4000, embedding=16, hidden=64))
    assert not large.folding_pays(8), "a table of a large vocabulary is larger than all the rest"


@pytest.mark.parametrize(("precision", "reads"), [("int8", False), ("int4", True)])
def test_only_4_bits_are_calibrated(
    make_model: MakeModel, tmp_path: Path, precision: str, reads: bool
) -> None:
    """Rounding to 8 bits gains nothing by it."""
    calls: list[int] = []

    def feeds() -> Iterator[dict[str, np.ndarray]]:
        calls.append(1)
        return text_feeds(EagerSession(make_model()), np.arange(64) % 34)

    exporter = OnnxExporter(Compression(feeds=feeds))
    exporter.export(make_model(), tmp_path / "step.onnx", precision=precision, decoding=Decoding())
    assert bool(calls) == reads


def test_the_file_alone_says_how_to_drive_it(files: dict[str, Path]) -> None:
    metadata = {prop.key: prop.value for prop in onnx.load(files["lstm"]).metadata_props}
    assert metadata.keys() == {METADATA_KEY}
    own = FileContract.from_metadata(metadata, source="the file")
    assert [state.name for state in own.contract.step.states] == ["h", "c"]
    assert own.contract.sizes["hidden"] == 8


def test_batch_and_time_one_are_no_special_case(files: dict[str, Path]) -> None:
    session = open_session(files["lstm"])
    state = session.initial_state(2)
    tokens = np.array([[1, 2, 3], [4, 5, 6]], np.int64)
    whole, after = session.step({"tokens": tokens}, state)
    rows = [
        session.step({"tokens": tokens[row : row + 1]}, session.initial_state(1))
        for row in range(2)
    ]
    np.testing.assert_allclose(
        np.concatenate([outputs["logits"] for outputs, _ in rows]), whole["logits"], atol=1e-6
    )
    for name, tensor in after.items():
        np.testing.assert_allclose(
            np.concatenate([states[name] for _, states in rows], axis=1), tensor, atol=1e-6
        )


def test_a_model_that_onnx_finds_invalid(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise onnx.checker.ValidationError("a node too many\nand more lines")

    monkeypatch.setattr(onnx.checker, "check_model", refuse)
    with pytest.raises(
        ContractError, match=r"the onnx exporter wrote an invalid model: a node too many$"
    ):
        export(make_model(), tmp_path / "step.onnx")


@pytest.mark.parametrize("precision", ONNX.precisions)
def test_the_same_model_is_the_same_bytes(
    make_model: MakeModel, tmp_path: Path, precision: str
) -> None:
    for name in ("first.onnx", "second.onnx"):
        OnnxExporter().export(
            make_model(), tmp_path / name, precision=precision, decoding=Decoding()
        )
    first, second = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert first == second
