"""Faults that drawn runs seldom meet: at one id, at one kind of state, at the end of a prompt."""

from __future__ import annotations

import numpy as np
import onnx
from _faulty import Fault
from _faulty_onnx import Change, add_weight, node, on_onnx, set_weight, through_output, weight
from faults_decoders import GENERATE, through

_ROLLOUT = ("rollout",)


def _other_logits(
    *condition: onnx.NodeProto, factor: float = 1.001, **constants: np.ndarray
) -> Change:
    """Give logits that are a thousandth larger where ``condition``, which makes ``when``, holds."""

    def change(model: onnx.ModelProto) -> None:
        for name, value in constants.items():
            add_weight(model, name, value)
        add_weight(model, "factor", np.float32(factor))
        other = node("Mul", ["logits_raw", "factor"], "other")
        through_output(
            model,
            "logits",
            *condition,
            other,
            node("Where", ["when", "other", "logits_raw"], "logits"),
        )

    return change


def _at_token(token: int) -> Change:
    condition = (
        node("Equal", ["tokens", "token"], "is_token"),
        node("Unsqueeze", ["is_token", "last"], "when"),
    )
    return _other_logits(
        *condition, token=np.array(token, np.int64), last=np.array([-1], np.int64), factor=1.1
    )


def _of_cell_state(op: str, bound: float) -> Change:
    """Where the largest value of a row's cell state compares with ``bound``."""
    condition = (
        node("Abs", ["c"], "sizes"),
        node("ReduceMax", ["sizes"], "largest", axes=[0, 2], keepdims=0),  # [B]
        node(op, ["largest", "bound"], "rows"),
        node("Unsqueeze", ["rows", "places"], "when"),  # [B, 1, 1]
    )
    return _other_logits(
        *condition, bound=np.array(bound, np.float32), places=np.array([1, 2], np.int64)
    )


def _row_turned(model: onnx.ModelProto) -> None:
    """Turn the sign of one row of the embedding."""
    tables = (
        tensor for tensor in model.graph.initializer if tensor.name.endswith("embedding.weight")
    )
    table = next(tables).name
    values = weight(model, table)
    values[-1] *= -1
    set_weight(model, table, values)


def _last_of_prompt(model: onnx.ModelProto) -> None:
    weights = {"first": np.array([-200], np.int64), "end": np.array([1 << 62], np.int64)}
    through("prompt", node("Slice", ["prompt", "first", "end"], "prompt_used"), weights=weights)(
        model
    )


def _clipped(name: str, bound: float) -> Change:
    weights = {"least": np.array(-bound, np.float32), "most": np.array(bound, np.float32)}
    return through(name, node("Clip", [name, "least", "most"], f"{name}_used"), weights=weights)


def _in_the_graph(name: str, imitates: str, change: Change, check: str, says: str) -> Fault:
    return Fault(
        name,
        imitates,
        on_onnx(change, GENERATE),
        (check,),
        says,
        honest="decoding",
        artifact=GENERATE,
    )


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
    _in_the_graph(
        "a prompt cut to its last 200 tokens",
        "a buffer's size",
        _last_of_prompt,
        "structure",
        "a part of prompt",
    ),
    _in_the_graph(
        "large cell states cut in the graph",
        "a clip",
        _clipped("c", 5),
        "decoding",
        "from a large state",
    ),
    _in_the_graph(
        "hidden states cut in the graph",
        "a clip",
        _clipped("h", 0.6),
        "decoding",
        "from a (large|full) state",
    ),
    Fault(
        "one row of a large embedding turned, in the graph",
        "a shard that was loaded twice",
        on_onnx(_row_turned, GENERATE),
        ("structure",),
        "embedding.* of onnx/step.onnx has other values",
        honest="large decoding",
        artifact=GENERATE,
    ),
)
