"""onnxruntime on the real file: it says what the contract says, computes what the reference
computes, refuses the rest.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import METADATA_KEY, FileContract, file_problems
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.base import Session
from edgernn.sessions.opening import open_artifact, open_session
from edgernn.sessions.ort.step import OrtSession


def random_tokens(session: Session, batch: int, time: int) -> dict[str, np.ndarray]:
    return {
        "tokens": np.random.default_rng(time).integers(
            0, session.contract.sizes["vocab"], (batch, time)
        )
    }


def test_the_file_says_what_the_contract_says(path: Path, contract: FileContract) -> None:
    description = OrtSession.describe(path)
    assert description.interface == contract.interface()
    assert description.interface.inputs[0] == FileTensor("tokens", "int64", ("batch", "time"))
    assert FileContract.from_metadata(description.metadata, source="x") == contract
    assert file_problems(description, contract) == []


def test_a_foreign_model_is_described_as_it_is(tmp_path: Path, contract: FileContract) -> None:
    double = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, [None, "n", 2])
    half = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT16, [None, "n", 2])
    node = onnx.helper.make_node("Cast", ["x"], ["y"], to=onnx.TensorProto.FLOAT16)
    graph = onnx.helper.make_graph([node], "foreign", [double], [half])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9
    )
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


def test_a_file_that_does_not_keep_its_word_breaks_the_contract(
    path: Path, contract: FileContract, tmp_path: Path
) -> None:
    model = onnx.load(str(path))
    rename_output(model, "h_next", "hidden_out")
    liar = tmp_path / "liar.onnx"
    onnx.save(model, str(liar))
    (problem,) = file_problems(OrtSession.describe(liar), contract)
    assert problem.startswith("outputs are ['logits', 'hidden_out', 'c_next']")
    with pytest.raises(ContractError, match="h_next"):
        session = OrtSession.open(liar, contract)
        session.step(random_tokens(session, 1, 1), session.initial_state())


def one(token: int) -> dict[str, np.ndarray]:
    return {"tokens": np.array([[token]], np.int64)}


def test_the_number_of_threads_is_the_callers(
    bundle: Bundle, path: Path, contract: FileContract
) -> None:
    for session, threads in (
        (OrtSession.open(path, contract), 1),
        (OrtSession.open(path, contract, threads=2), 2),
        (open_session(bundle, threads=2), 2),
        (open_session(path, threads=2), 2),
        (open_session(bundle, "onnx"), 1),
        (open_artifact(bundle, bundle.artifact("onnx"), threads=3), 3),
    ):
        assert isinstance(session, OrtSession)
        assert session._runtime.get_session_options().intra_op_num_threads == threads
        assert np.isfinite(session.step(one(1), session.initial_state())[0]["logits"]).all()
    assert open_session(bundle, "torchscript", threads=2).runtime == "torch.jit"


def test_less_than_one_thread_is_refused(
    bundle: Bundle, path: Path, contract: FileContract
) -> None:
    for open_it in (
        lambda: OrtSession.open(path, contract, threads=0),
        lambda: open_session(bundle, threads=0),
        lambda: open_session(bundle, "torchscript", threads=0),
        lambda: open_session(path, threads=0),
    ):
        with pytest.raises(UsageError, match="threads is 0, expected 1 or more"):
            open_it()
