"""Graphs written node by node: constants once, loops and choices that compute what they say, graphs
copied in whole.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError
from edgernn.export.to_onnx.nodes import Carried, Pass, Scope, declared, joined_opsets

COUNT = FileTensor("count", "int64", ())
VECTOR = FileTensor("x", "float32", ("n",))


def model_of(scope: Scope, inputs: list[FileTensor], outputs: list[FileTensor]) -> onnx.ModelProto:
    graph = scope.model("test", inputs=inputs, outputs=outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    found: list[np.ndarray] = onnxruntime.InferenceSession(model.SerializeToString()).run(
        None, feeds
    )
    return found


def test_a_constant_is_stored_once_and_only_if_it_is_read() -> None:
    scope = Scope()
    one = np.array(1, np.float32)
    scope.rename(scope.add("Add", scope.add("Add", "x", one), one), "y")
    scope.value(np.array([9.0]))
    model = model_of(scope, [VECTOR], [FileTensor("y", "float32", ("n",))])
    assert len(model.graph.initializer) == 1
    assert run(model, x=np.array([1, 2], np.float32))[0].tolist() == [3, 4]


def test_a_loop_hands_on_collects_and_ends() -> None:
    scope = Scope()

    def body(inner: Scope, number: str, carried: list[str]) -> Pass:
        total = inner.add("Add", carried[0], number)
        return Pass(inner.add("Less", total, np.array(6)), [total, carried[1]], [total, total])

    carried = [Carried(np.array(0), "int64", ()), Carried(np.array(7), "int64", ())]
    made = scope.loop("count", body, carried=carried, collected=["int64", "int64"])
    names = ["total", "same", "each", "again"]
    for value, name in zip(made, names, strict=True):
        scope.rename(value, name)
    outputs = [
        FileTensor(name, "int64", shape)
        for name, shape in zip(names, [(), (), ("n",), ("n",)], strict=True)
    ]
    model = model_of(scope, [COUNT], outputs)
    assert [array.tolist() for array in run(model, count=np.array(3))] == [
        3,
        7,
        [0, 1, 3],
        [0, 1, 3],
    ]
    assert run(model, count=np.array(99))[0] == 6


def test_only_one_branch_is_run() -> None:
    scope = Scope()
    (value,) = scope.choose(
        scope.add("Greater", "count", np.array(0)),
        lambda inner: [inner.add("Div", np.array(12), "count")],  # by zero in the other case
        lambda inner: ["count"],
        dtypes=["int64"],
    )
    scope.rename(value, "y")
    model = model_of(scope, [COUNT], [FileTensor("y", "int64", ())])
    assert [int(run(model, count=np.array(count))[0]) for count in (4, 0)] == [3, 0]


def inner_graph() -> onnx.GraphProto:
    """``y = sum over i < 3 of (w x)`` with a loop of its own; ``z = w + x`` is beside it."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["s", "p"], ["t"])],
        "body",
        [declared("i", "int64", ()), declared("go", "bool", ()), declared("s", "float32", None)],
        [declared("on", "bool", ()), declared("t", "float32", None)],
    )
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["p"]),
        helper.make_node("Sub", ["x", "x"], ["zero"]),
        helper.make_node("Loop", ["three", "", "zero"], ["y"], body=body),
        helper.make_node("Add", ["x", "w"], ["z"]),
    ]
    stored = [
        numpy_helper.from_array(np.array(2, np.float32), "w"),
        numpy_helper.from_array(np.array(3), "three"),
    ]
    outputs = [declared(name, "float32", ["n"]) for name in ("y", "z")]
    return helper.make_graph(
        nodes, "inner", [declared("x", "float32", ["n"])], outputs, initializer=stored
    )


def test_a_graph_is_copied_in_twice_and_its_weights_once() -> None:
    scope, graph = Scope(), inner_graph()
    weights = scope.hoist(graph, "weights")
    first = scope.copy_in(graph, {**weights, "x": "x"}, wanted=["y"])
    second = scope.copy_in(graph, {**weights, "x": first["y"]}, wanted=["z", "y"])
    for name, value in (("a", second["y"]), ("b", second["z"])):
        scope.rename(value, name)
    model = model_of(scope, [VECTOR], [FileTensor(name, "float32", ("n",)) for name in ("a", "b")])
    assert [tensor.name for tensor in model.graph.initializer] == ["weights/w", "weights/three"]
    assert [array.tolist() for array in run(model, x=np.array([1, 2], np.float32))] == [
        [36, 72],
        [8, 14],
    ]


def test_what_nobody_wants_is_left_out() -> None:
    scope, graph = Scope(), inner_graph()
    made = scope.copy_in(graph, {**scope.hoist(graph, "weights"), "x": "x"}, wanted=["z"])
    scope.rename(made["z"], "z")
    model = model_of(scope, [VECTOR], [FileTensor("z", "float32", ("n",))])
    assert [node.op_type for node in model.graph.node] == ["Add", "Identity"]
    assert [tensor.name for tensor in model.graph.initializer] == ["weights/w"]


def test_operator_sets_are_joined_and_must_agree() -> None:
    def model(**versions: int) -> onnx.ModelProto:
        opsets = [
            helper.make_opsetid("" if domain == "onnx" else domain, v)
            for domain, v in versions.items()
        ]
        return helper.make_model(inner_graph(), opset_imports=opsets)

    joined = joined_opsets(model(onnx=17), model(onnx=17, custom=1))
    assert [(opset.domain, opset.version) for opset in joined] == [("", 17), ("custom", 1)]
    with pytest.raises(
        ContractError,
        match="versions 1 and 2 of the operators of custom, expected one; export them together",
    ):
        joined_opsets(model(onnx=17, custom=1), model(onnx=17, custom=2))
