"""Faults at one id or one kind of state, which runs of drawn ids and states seldom meet."""

from __future__ import annotations

import numpy as np
import onnx
from _faulty import Fault
from _faulty_onnx import Change, add_weight, node, on_onnx, set_weight, through_output, weight

_ROLLOUT = ("rollout",)


def _other_logits(*condition: onnx.NodeProto, factor: float = 1.001, **constants: np.ndarray) -> Change:
    """Give logits that are a thousandth larger where ``condition``, which makes ``when``, holds."""

    def change(model: onnx.ModelProto) -> None:
        for name, value in constants.items():
            add_weight(model, name, value)
        add_weight(model, "factor", np.float32(factor))
        other = node("Mul", ["logits_raw", "factor"], "other")
        through_output(model, "logits", *condition, other, node("Where", ["when", "other", "logits_raw"], "logits"))

    return change


def _at_token(token: int) -> Change:
    condition = (node("Equal", ["tokens", "token"], "is_token"), node("Unsqueeze", ["is_token", "last"], "when"))
    return _other_logits(*condition, token=np.array(token, np.int64), last=np.array([-1], np.int64), factor=1.1)


def _of_cell_state(op: str, bound: float) -> Change:
    """Where the largest value of a row's cell state compares with ``bound``."""
    condition = (
        node("Abs", ["c"], "sizes"),
        node("ReduceMax", ["sizes"], "largest", axes=[0, 2], keepdims=0),  # [B]
        node(op, ["largest", "bound"], "rows"),
        node("Unsqueeze", ["rows", "places"], "when"),  # [B, 1, 1]
    )
    return _other_logits(*condition, bound=np.array(bound, np.float32), places=np.array([1, 2], np.int64))


def _row_turned(model: onnx.ModelProto) -> None:
    """Turn the sign of one row of the embedding."""
    table = next(node.input[0] for node in model.graph.node if node.op_type == "Gather")
    values = weight(model, table)
    values[-1] *= -1
    set_weight(model, table, values)


FAULTS = (
    Fault(
        "one row of a large embedding turned",
        "a shard that was loaded twice",
        on_onnx(_row_turned),
        _ROLLOUT,
        "WRONG, .* at id 2999 ",
        honest="large",
    ),
    Fault(
        "another output at one id of many",
        "a special token handled in the graph",
        on_onnx(_at_token(2999)),
        _ROLLOUT,
        "WRONG, logits at id 2999 ",
        honest="large",
    ),
    Fault(
        "another output after a state of zeros",
        "a first step that is treated as one",
        on_onnx(_of_cell_state("Equal", 0)),
        _ROLLOUT,
        "WRONG, logits at id .* from a state all zero",
    ),
    Fault(
        "another output at large cell states",
        "a clip that training never met",
        on_onnx(_of_cell_state("Greater", 3)),
        _ROLLOUT,
        "WRONG, logits at id .* from a state of large values",
    ),
)
