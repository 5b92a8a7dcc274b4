"""A state is written where it goes when nothing needs the old one; rows of tables are read where
they lie.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from edgernn.contract import FileContract
from edgernn.export.to_c.front import program_of
from edgernn.export.to_c.passes import optimised
from edgernn.export.to_c.program import Program
from edgernn.sessions.ort.reading import parse_model
from tests.export.to_c.conftest import contract_of, model_of, opened

node = helper.make_node
MATRIX = np.random.default_rng(1).normal(size=(6, 6)).astype(np.float32)
LAST = np.array([-1]), np.array([-7]), np.array([1]), np.array([-1])
CONSTANTS = {
    "m": MATRIX,
    **dict(zip(("starts", "ends", "axes", "steps"), LAST, strict=True)),
    "two": np.array(2.0, np.float32),
    "ids": np.array([[0, 1, 2, 3, 4, 5]]),
    "halves": np.array([3, 3]),
}
ADDED = node("Add", ["x", "h"], ["h_next"])
CASES = {  # name → operators, and whether the state may be written at once
    "an element after another": ([ADDED, node("Mul", ["h_next", "two"], ["y"])], True),
    "a product before": (
        [node("MatMul", ["h", "m"], ["y"]), node("Add", ["y", "x"], ["h_next"])],
        True,
    ),
    "a product behind": ([ADDED, node("MatMul", ["h", "m"], ["y"])], False),
    "an element behind": (
        [ADDED, node("MatMul", ["h_next", "m"], ["t"]), node("Mul", ["t", "h"], ["y"])],
        False,
    ),
    "the old one in the same loop": ([ADDED, node("Mul", ["h_next", "h"], ["y"])], True),
    "from behind": (
        [
            node("Slice", ["h", "starts", "ends", "axes", "steps"], ["t"]),
            node("Add", ["t", "x"], ["h_next"]),
            node("Mul", ["h_next", "two"], ["y"]),
        ],
        False,
    ),
    "halves that change places": (
        [
            node("Split", ["h", "halves"], ["a", "b"], axis=1),
            node("Concat", ["b", "a"], ["t"], axis=1),
            node("Add", ["t", "x"], ["h_next"]),
            node("Mul", ["h_next", "two"], ["y"]),
        ],
        None,
    ),
    "a product of itself": (
        [node("MatMul", ["h", "m"], ["h_next"]), node("Add", ["h_next", "x"], ["y"])],
        False,
    ),
}


def program(model: bytes, contract: Any) -> Program:
    own = FileContract(contract=contract)
    return optimised(program_of(parse_model(model, source="it").graph, own))


@pytest.mark.parametrize("case", CASES)
def test_a_state_is_that_of_onnxruntime(case: str) -> None:
    nodes, at_once = CASES[case]
    draw = np.random.default_rng(7)
    state = {"h": draw.normal(size=(1, 6)).astype(np.float32)}
    x = draw.normal(size=(1, 6)).astype(np.float32)
    contract = contract_of({"x": x}, {"y": (1, 6)}, state)
    read = {name for own in nodes for name in own.input}
    held = {name: array for name, array in CONSTANTS.items() if name in read}
    model = model_of(nodes, contract, held)
    if at_once is not None:
        assert bool(program(model, contract).placed) == at_once
    session, runtime = opened(model, contract), onnxruntime.InferenceSession(model)
    found, wanted = state, state
    for _ in range(3):
        outputs, found = session.step({"x": x}, found)
        y, after = runtime.run(["y", "h_next"], {"x": x, **wanted})
        wanted = {"h": after}
        assert np.allclose(outputs["y"], y, rtol=1e-5, atol=1e-6)
        assert np.allclose(found["h"], after, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("number", [0, 4, -1])
def test_one_row_is_read_where_it_lies(number: int) -> None:
    x = np.array([number % 6])
    contract = contract_of({"x": x}, {"y": (1, 6)})
    nodes = [node("Gather", ["m", "x"], ["t"]), node("MatMul", ["t", "m"], ["y"])]
    model = model_of(nodes, contract, {"m": MATRIX})
    kinds = [type(own).__name__ for own in program(model, contract).nodes]
    assert kinds == ["Row", "Product"]
    outputs, _ = opened(model, contract).step({"x": x}, {})
    assert np.allclose(outputs["y"], MATRIX[x] @ MATRIX, atol=1e-5)
