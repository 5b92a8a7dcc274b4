"""States that a graph moves before its recurrent operators take them: what is proved of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgernn.contract import FileContract
from edgernn.contract.build import build_contract
from edgernn.contract.interface import FileTensor
from edgernn.parity.structure.onnx import OnnxStructure
from edgernn.parity.structure.sizes import SizeError, UnknownError

WIDTH, HIDDEN, BANDS = 3, 4, 2
Nodes = list[onnx.NodeProto]
node = helper.make_node


def _constants() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "w": random.standard_normal((1, 3 * HIDDEN, WIDTH)).astype(np.float32),
        "r": random.standard_normal((1, 3 * HIDDEN, HIDDEN)).astype(np.float32),
        "zero": np.array(0),
        "axis0": np.array([0]),
        "axis1": np.array([1]),
        "flat": np.array([1, -1, HIDDEN]),
        "rows": np.array([-1, BANDS, HIDDEN]),
        "frames_in": np.array([0, -1, WIDTH]),
        "frames_out": np.array([0, -1, BANDS * HIDDEN]),
    }


def _declared(tensor: FileTensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.shape or ()))


def prove(path: Path, before: Nodes, after: Nodes, state: str, *, bands: int = 1) -> str:
    """Prove a GRU that takes ``given`` and leaves ``left``, each band of a frame by itself."""
    contract = build_contract(
        inputs={"x": f"float32[time, batch, width={bands * WIDTH}]"},
        states={"h": state},
        outputs={"y": f"float32[time, batch, out={bands * HIDDEN}]"},
    )
    file_contract = FileContract(contract=contract)
    interface = file_contract.interface()
    layer = ["xs", "w", "r", "", "", "given"]
    nodes = [
        node("Reshape" if bands > 1 else "Identity", ["x", "frames_in"][:bands], ["xs"]),
        *before,
        node("GRU", layer, ["ys", "left"], hidden_size=HIDDEN),
        node("Squeeze", ["ys", "axis1"], ["all"]),
        node("Reshape" if bands > 1 else "Identity", ["all", "frames_out"][:bands], ["y"]),
        *after,
    ]
    held = [numpy_helper.from_array(array, name) for name, array in _constants().items()]
    inputs, outputs = map(_declared, interface.inputs), map(_declared, interface.outputs)
    graph = helper.make_graph(nodes, "g", list(inputs), list(outputs), held)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), str(path))
    return OnnxStructure(path).prove(file_contract)


MOVES: dict[str, tuple[Nodes, Nodes, str, int]] = {
    "a layer axis put in": (
        [node("Unsqueeze", ["h", "axis0"], ["given"])],
        [node("Squeeze", ["left", "axis0"], ["h_next"])],
        "float32[batch, size=4]",
        1,
    ),
    "the batch first": (
        [node("Transpose", ["h"], ["given"], perm=[1, 0, 2])],
        [node("Transpose", ["left"], ["h_next"], perm=[1, 0, 2])],
        "float32[batch, one=1, size=4]",
        1,
    ),
    "a layer taken": (
        [node("Gather", ["h", "zero"], ["top"]), node("Unsqueeze", ["top", "axis0"], ["given"])],
        [node("Identity", ["left"], ["h_next"])],
        "float32[layers=1, batch, size=4]",
        1,
    ),
    "rows of a row": (
        [node("Reshape", ["h", "flat"], ["given"])],
        [node("Reshape", ["left", "rows"], ["h_next"])],
        "float32[batch, rows=2, size=4]",
        BANDS,
    ),
}


@pytest.mark.parametrize("name", MOVES)
def test_one_layer_is_followed_through_any_shape(tmp_path: Path, name: str) -> None:
    before, after, state, bands = MOVES[name]
    assert "operators" in prove(tmp_path / "f.onnx", before, after, state, bands=bands)


def test_a_state_in_another_order_is_not_proved_and_no_fault(tmp_path: Path) -> None:
    before = [
        node("Transpose", ["h"], ["turned"], perm=[0, 2, 1]),
        node("Transpose", ["turned"], ["given"], perm=[0, 2, 1]),
    ]
    after = [node("Identity", ["left"], ["h_next"])]
    with pytest.raises(UnknownError, match="another order"):
        prove(tmp_path / "f.onnx", before, after, "float32[layers=1, batch, size=4]")


def test_a_state_that_is_computed_with_is_a_fault(tmp_path: Path) -> None:
    before = [node("Tanh", ["h"], ["given"])]
    after = [node("Identity", ["left"], ["h_next"])]
    with pytest.raises(SizeError, match="does not go on from a state"):
        prove(tmp_path / "f.onnx", before, after, "float32[layers=1, batch, size=4]")
