"""onnxruntime on the real file: it says what the contract says, computes what the reference computes, refuses the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import METADATA_KEY, FileContract, file_problems
from edgernn.errors import ContractError
from edgernn.interface import FileTensor
from edgernn.sessions.base import Session, State
from edgernn.sessions.eager import EagerSession
from edgernn.sessions.ort import OrtSession


@pytest.fixture(scope="module")
def contract(bundle_folder: Path) -> FileContract:
    bundle = Bundle.open(bundle_folder)
    return bundle.file_contract(bundle.artifact("onnx"))


@pytest.fixture(scope="module")
def path(bundle_folder: Path) -> Path:
    return bundle_folder / "onnx" / "step.onnx"


@pytest.fixture(scope="module")
def ort(path: Path, contract: FileContract) -> OrtSession:
    return OrtSession.open(path, contract)


@pytest.fixture(scope="module")
def eager(checkpoint_folder: Path, contract: FileContract) -> EagerSession:
    return EagerSession.open(checkpoint_folder, contract)


def random_state(session: Session, batch: int) -> State:
    random = np.random.default_rng(batch)
    return {name: random.normal(size=a.shape).astype(np.float32) for name, a in session.initial_state(batch).items()}


def random_tokens(session: Session, batch: int, time: int) -> dict[str, np.ndarray]:
    return {"tokens": np.random.default_rng(time).integers(0, session.contract.sizes["vocab"], (batch, time))}


def test_the_file_says_what_the_contract_says(path: Path, contract: FileContract) -> None:
    description = OrtSession.describe(path)
    assert description.interface == contract.interface()
    assert description.interface.inputs[0] == FileTensor("tokens", "int64", ("batch", "time"))
    assert FileContract.from_metadata(description.metadata, source="x") == contract
    assert file_problems(description, contract) == []


@pytest.mark.parametrize(("batch", "time"), [(1, 1), (1, 7), (3, 1), (2, 5)])
def test_a_chained_run_equals_eager(ort: OrtSession, eager: EagerSession, batch: int, time: int) -> None:
    ours = theirs = random_state(ort, batch)
    for call in range(3):
        given = random_tokens(ort, batch, time + call)
        (outputs, ours), (expected, theirs) = ort.step(given, ours), eager.step(given, theirs)
        assert outputs["logits"].shape == (batch, time + call, ort.contract.sizes["vocab"])
        assert np.abs(outputs["logits"] - expected["logits"]).max() < 1e-5
        for name in ("h", "c"):
            assert np.abs(ours[name] - theirs[name]).max() < 1e-5


def test_every_state_matters(ort: OrtSession) -> None:
    given, state = random_tokens(ort, 1, 1), random_state(ort, 1)
    logits = ort.step(given, state)[0]["logits"]
    for name in state:
        other = {**state, name: state[name] + 0.5}
        assert np.abs(ort.step(given, other)[0]["logits"] - logits).max() > 1e-4


def test_read_only_arrays_go_in_and_stay_as_they_were(ort: OrtSession) -> None:
    given, state = random_tokens(ort, 2, 3), random_state(ort, 2)
    before = {name: array.copy() for name, array in (given | state).items()}
    for array in (given | state).values():
        array.flags.writeable = False
    ort.step(given, state)
    assert all(np.array_equal(array, before[name]) for name, array in (given | state).items())


def test_what_came_out_is_not_overwritten_by_the_next_step(ort: OrtSession) -> None:
    given = random_tokens(ort, 1, 1)
    outputs, state = ort.step(given, ort.initial_state())
    kept = {name: array.copy() for name, array in (outputs | state).items()}
    ort.step(given, state)
    assert all(np.array_equal(array, kept[name]) for name, array in (outputs | state).items())


@pytest.mark.parametrize("token", [-1, 10**6])
def test_a_token_outside_the_vocabulary_is_refused(ort: OrtSession, token: int) -> None:
    with pytest.raises(ContractError):
        ort.step({"tokens": np.array([[token]], np.int64)}, ort.initial_state())


@pytest.mark.parametrize("content", [b"", b"no model" * 99, None], ids=["empty", "foreign", "cut off"])
def test_a_damaged_file_is_refused(path: Path, contract: FileContract, tmp_path: Path, content: bytes | None) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(path.read_bytes()[:-2000] if content is None else content)
    for open_it in (lambda: OrtSession.describe(damaged), lambda: OrtSession.open(damaged, contract)):
        with pytest.raises(ContractError, match=r"damaged\.onnx is not a model that onnxruntime can open") as caught:
            open_it()
        assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(contract: FileContract, tmp_path: Path) -> None:
    for place in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(ContractError, match="is not a model that onnxruntime can open"):
            OrtSession.open(place, contract)


def test_a_foreign_model_is_described_as_it_is(tmp_path: Path, contract: FileContract) -> None:
    double = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, [None, "n", 2])
    half = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT16, [None, "n", 2])
    node = onnx.helper.make_node("Cast", ["x"], ["y"], to=onnx.TensorProto.FLOAT16)
    graph = onnx.helper.make_graph([node], "foreign", [double], [half])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(tmp_path / "foreign.onnx"))
    description = OrtSession.describe(tmp_path / "foreign.onnx")
    (x,), (y,) = description.interface.inputs, description.interface.outputs
    assert (x.name, x.dtype, y.name, y.dtype) == ("x", "float64", "y", "float16")
    assert x.shape is not None
    assert x.shape[1:] == ("n", 2)
    assert not isinstance(x.shape[0], int)
    assert METADATA_KEY not in description.metadata
    assert len(file_problems(description, contract)) == 3


def rename_output(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
    for output in model.graph.output:
        output.name = new if output.name == old else output.name


def test_a_file_that_does_not_keep_its_word_breaks_the_contract(path: Path, contract: FileContract, tmp_path: Path) -> None:
    model = onnx.load(str(path))
    rename_output(model, "h_next", "hidden_out")
    liar = tmp_path / "liar.onnx"
    onnx.save(model, str(liar))
    (problem,) = file_problems(OrtSession.describe(liar), contract)
    assert problem.startswith("outputs are ['logits', 'hidden_out', 'c_next']")
    with pytest.raises(ContractError, match="h_next"):
        session = OrtSession.open(liar, contract)
        session.step(random_tokens(session, 1, 1), session.initial_state())
