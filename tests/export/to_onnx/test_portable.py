"""Portable ONNX: no vendor's operator, no attribute that some runtime leaves out; the same numbers,
and versions by choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgernn.contract import BATCH, TIME, Decoding
from edgernn.errors import ContractError, UsageError
from edgernn.export.foreign_file import export_onnx
from edgernn.export.operators import Operators
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.blocks import round_rows
from edgernn.export.rounding.compression import Compression
from edgernn.export.source import ReducedOptions
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.export.to_onnx.portable import leave_out_defaults, problems_of, prove_portable
from edgernn.models.cells.table import FUSED
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity.rollout import Plan, compare
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.opening import open_session

MakeModel = Callable[..., LanguageModel]
PORTABLE = Operators(portable=True)
PRECISIONS = {"float32": 1e-5, "float16": 2e-2, "int8": 0.1}


def written(
    model: LanguageModel, path: Path, precision: str = "float32", operators: Operators = PORTABLE
) -> onnx.ModelProto:
    exporter = OnnxExporter(operators=operators)
    told = exporter.export(model, path, precision=precision, decoding=Decoding())
    assert told.portable is (True if operators.portable else None)
    found: onnx.ModelProto = onnx.load(path)
    return found


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("cell", FUSED)
def test_every_cell_in_the_default_domain_alone(
    make_model: MakeModel, tmp_path: Path, cell: str, precision: str
) -> None:
    model, path = make_model(cell=cell), tmp_path / "step.onnx"
    made = written(model, path, precision)
    assert [opset.domain for opset in made.opset_import] == [""]
    assert {node.domain for node in made.graph.node} == {""}
    told = {
        (node.op_type, attribute.name)
        for node in made.graph.node
        if node.op_type in {"LSTM", "GRU", "RNN"}
        for attribute in node.attribute
    }
    assert {name for _, name in told} <= {"hidden_size", "linear_before_reset"}
    session = open_session(path)
    frames = session.file_contract.axis_size(TIME)
    assert frames == (1 if cell == "rnn_relu" or precision == "int8" else None)
    run = compare(EagerSession(model), session, Plan(1, (1,) * 24), seed=5)
    assert run.worst.scaled < PRECISIONS[precision]


def test_a_relu_is_written_as_one(make_model: MakeModel, tmp_path: Path) -> None:
    made = written(make_model(cell="rnn_relu"), tmp_path / "step.onnx")
    operators = [node.op_type for node in made.graph.node]
    assert operators.count("Relu") == 2
    assert "RNN" not in operators


def test_integers_take_one_row_of_one_scale(make_model: MakeModel, tmp_path: Path) -> None:
    path = tmp_path / "step.onnx"
    made = written(make_model(cell="gru", hidden=32), path, "int8")
    operators = {node.op_type for node in made.graph.node}
    assert {"DynamicQuantizeLinear", "MatMulInteger"} <= operators
    assert not operators & {"MatMul", "Gemm", "MatMulNBits"}
    assert open_session(path).file_contract.narrowing.axes == {TIME: 1, BATCH: 1}
    matrices = [t for t in made.graph.initializer if len(t.dims) > 1]
    assert matrices
    assert {t.data_type for t in matrices} == {TensorProto.UINT8}


def test_rows_are_rounded_to_the_nearest_of_256_levels() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    weight[2] = 0
    integers, scales = round_rows(weight)
    assert integers.dtype == np.int8
    error = np.abs(integers * scales[:, None] - weight).max(1)
    assert (error <= np.abs(weight).max(1) / 127).all()
    with pytest.raises(UsageError, match="not finite"):
        round_rows(np.full((1, 2), np.nan, np.float32))


def recurrent(op: str, *, inputs: int = 6, **attributes: object) -> onnx.ModelProto:
    """A graph of one recurrent operator, of width 2."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    shapes = {"W": (1, gates * 2, 2), "R": (1, gates * 2, 2), "B": (1, gates * 4)}
    names = ["x", "W", "R", "B", "lengths" if inputs > 8 else "", "h", "c", "P"]
    node = helper.make_node(op, names[:inputs], ["y", "z"], hidden_size=2, **attributes)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "g",
        [value("x", TensorProto.FLOAT, [1, 1, 2]), value("h", TensorProto.FLOAT, [1, 1, 2])],
        [value("y", TensorProto.FLOAT, [1, 1, 1, 2])],
        [numpy_helper.from_array(np.zeros(s, np.float32), name) for name, s in shapes.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    leave_out_defaults(made)
    return made


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (recurrent("RNN", activations=["Relu"]), "the attribute activations"),
        (recurrent("RNN", clip=3.0), "the attribute clip"),
        (recurrent("RNN", direction="reverse"), "direction=reverse"),
        (recurrent("LSTM", input_forget=1), "the attribute input_forget"),
        (recurrent("GRU", layout=1, linear_before_reset=1), "the attribute layout"),
        (recurrent("GRU"), "resets before the product"),
        (recurrent("LSTM", inputs=8), "peepholes"),
    ],
)
def test_what_some_runtime_leaves_out(model: onnx.ModelProto, told: str, tmp_path: Path) -> None:
    assert any(told in problem for problem in problems_of(model))
    path = tmp_path / "step.onnx"
    onnx.save(model, path)
    with pytest.raises(ContractError, match="cannot be portable") as caught:
        prove_portable(path)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "model",
    [
        recurrent("RNN", activations=["Tanh"], direction="forward"),
        recurrent("LSTM", direction="bidirectional", input_forget=0),
        recurrent("GRU", linear_before_reset=1, layout=0),
    ],
)
def test_what_is_said_at_its_default_says_nothing(model: onnx.ModelProto) -> None:
    assert not problems_of(model)


def test_a_domain_of_a_vendor_and_a_loop_are_named(make_model: MakeModel, tmp_path: Path) -> None:
    vendors = written(
        make_model(hidden=32), tmp_path / "a.onnx", "int8", replace(PORTABLE, portable=False)
    )
    assert any("com.microsoft" in problem for problem in problems_of(vendors))
    loop = recurrent("RNN")
    loop.graph.node.add(op_type="Loop", output=["l"], name="again")
    assert any("branches or repeats" in problem for problem in problems_of(loop))


@pytest.mark.parametrize("precision", ["int4", "smallest"])
def test_what_the_standard_cannot_multiply_is_refused_by_name(
    make_model: MakeModel, tmp_path: Path, precision: str
) -> None:
    exporter = OnnxExporter(operators=PORTABLE)
    with pytest.raises(UsageError, match=precision):
        exporter.export(make_model(), tmp_path / "a", precision=precision, decoding=Decoding())
    blocks = OnnxExporter(Compression(block_size=32), operators=PORTABLE)
    with pytest.raises(UsageError, match="--block-size"):
        blocks.export(make_model(), tmp_path / "a", precision="int8", decoding=Decoding())


@pytest.mark.parametrize("opset", [13, 15, 18, 20, 21])
@pytest.mark.parametrize("portable", [False, True])
def test_the_operator_set_is_a_choice(
    make_model: MakeModel, tmp_path: Path, opset: int, portable: bool
) -> None:
    path, model = tmp_path / "step.onnx", make_model(cell="gru")
    made = written(model, path, "float32", Operators(portable, opset))
    assert [(o.domain, o.version) for o in made.opset_import] == [("", opset)]
    assert made.ir_version == (10 if opset == 21 else 9)
    run = compare(EagerSession(model), open_session(path), Plan(2, (3,) * 8), seed=5)
    assert run.worst.scaled < 1e-5


def test_the_ir_version_is_a_choice(make_model: MakeModel, tmp_path: Path) -> None:
    made = written(make_model(), tmp_path / "a.onnx", "float32", Operators(False, None, 8))
    assert (made.ir_version, made.opset_import[0].version) == (8, 17)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ((False, 12, None), "--opset is 12, expected 13 to 21"),
        ((False, 22, None), "--opset is 22, expected 13 to 21"),
        ((False, 21, 9), "--ir-version is 9, expected 10 to 10 with opset 21"),
        ((False, None, 7), "--ir-version is 7, expected 8 to 10 with opset 17"),
        ((False, None, 11), "--ir-version is 11"),
    ],
)
def test_versions_have_bounds(wrong: tuple[bool, int | None, int | None], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Operators(*wrong)


def test_a_bundle_says_so_and_verify_proves_it(checkpoint_folder: Path, tmp_path: Path) -> None:
    options = ReducedOptions(operators=PORTABLE)
    bundle = export_bundle(checkpoint_folder, tmp_path / "b", to="onnx", options=options, steps=16)
    assert [artifact.portable for artifact in bundle.manifest.artifacts] == [True]
    report = verify_bundle(bundle, steps=16, seed=1)
    assert report.passed
    (structure,) = [c for c in report.artifacts[0].checks if c.name == "structure"]
    assert "portable" in structure.detail


def test_a_false_claim_is_found(checkpoint_folder: Path, tmp_path: Path) -> None:
    plain = export_bundle(checkpoint_folder, tmp_path / "b", to="onnx", precision="int8", steps=16)
    (artifact,) = plain.manifest.artifacts
    assert artifact.portable is None
    claimed = artifact.model_copy(update={"portable": True})
    manifest = plain.manifest.model_copy(update={"artifacts": (claimed,)})
    (tmp_path / "b" / "manifest.json").write_text(manifest.to_json())
    report = verify_bundle(tmp_path / "b", steps=16, seed=1)
    (structure,) = [c for c in report.artifacts[0].checks if c.name == "structure"]
    assert structure.status == "failed"
    assert "says that it is portable, and it asks for operators of the domain" in structure.detail


def test_it_is_asked_for_where_it_says_something(checkpoint_folder: Path, tmp_path: Path) -> None:
    options = ReducedOptions(operators=PORTABLE)
    with pytest.raises(UsageError, match="--portable says which operators files of onnx have"):
        export_bundle(checkpoint_folder, tmp_path / "b", to="torchscript", options=options)
    with pytest.raises(UsageError, match="--portable does not go with --in-graph"):
        export_bundle(checkpoint_folder, tmp_path / "b", to="onnx", in_graph=True, options=options)


def foreign(op: str, path: Path, **attributes: object) -> Path:
    """A file of another program: one recurrent operator of width 4, over time."""
    rng, value = np.random.default_rng(0), helper.make_tensor_value_info
    gates, state = {"LSTM": 4, "GRU": 3, "RNN": 1}[op], [1, "batch", 4]
    shapes = {"W": (1, gates * 4, 3), "R": (1, gates * 4, 4), "B": (1, gates * 8)}
    stored = {name: rng.normal(0, 0.4, s).astype(np.float32) for name, s in shapes.items()}
    stored["one"] = np.array([1])
    inputs = ["frames", "W", "R", "B", "", "h", *(["c"] if op == "LSTM" else [])]
    outputs = ["all", "h_out", *(["c_out"] if op == "LSTM" else [])]
    nodes = [
        helper.make_node("Transpose", ["x"], ["frames"], perm=[1, 0, 2]),
        helper.make_node(op, inputs, outputs, hidden_size=4, **attributes),
        helper.make_node("Squeeze", ["all", "one"], ["turned"]),
        helper.make_node("Transpose", ["turned"], ["y"], perm=[1, 0, 2]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, ["batch", "time", 3])]
        + [value(name, TensorProto.FLOAT, state) for name in inputs[5:]],
        [value("y", TensorProto.FLOAT, ["batch", "time", 4])]
        + [value(name, TensorProto.FLOAT, state) for name in outputs[1:]],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("op", "attributes", "kept"),
    [
        ("LSTM", {}, True),
        ("RNN", {"activations": ["Tanh"]}, True),
        ("RNN", {"activations": ["Relu"]}, False),
        ("GRU", {}, False),
    ],
    ids=str,
)
def test_a_foreign_file_is_kept_where_it_is_portable_else_written_anew(
    tmp_path: Path, op: str, attributes: dict[str, object], kept: bool
) -> None:
    path = foreign(op, tmp_path / "other.onnx", **attributes)
    options = ReducedOptions(operators=PORTABLE)
    bundle = export_onnx(path, tmp_path / "b", options=options, steps=16)
    (artifact,) = bundle.manifest.artifacts
    assert artifact.portable
    assert artifact.narrowing.axes == ({} if kept else {TIME: 1})
    operators = {node.op_type for node in onnx.load(bundle.path(artifact.path)).graph.node}
    assert (op in operators) == kept
    assert verify_bundle(bundle, steps=16, seed=2).passed


def test_a_foreign_file_that_nothing_else_says_is_refused(tmp_path: Path) -> None:
    path = foreign("LSTM", tmp_path / "other.onnx", clip=1.0)
    with pytest.raises(UsageError, match=r"cannot be portable: LSTM .* the attribute clip"):
        export_onnx(path, tmp_path / "b", options=ReducedOptions(operators=PORTABLE), steps=8)
    versions = ReducedOptions(operators=Operators(opset=18))
    with pytest.raises(UsageError, match="an ONNX file keeps its own operators"):
        export_onnx(path, tmp_path / "b", options=versions, steps=8)
