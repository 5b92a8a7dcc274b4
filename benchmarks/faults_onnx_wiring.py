"""Faults in the wiring of an ONNX file: state that is lost, swapped, leaked or cut, and outputs
that are not what they say.
"""

from __future__ import annotations

import numpy as np
import onnx
from _faulty import Fault
from _faulty_onnx import (
    Change,
    add_weight,
    cast,
    node,
    on_onnx,
    recurrent,
    rename,
    through_input,
    through_output,
)
from onnx import TensorProto

_EVERYWHERE = ("rollout", "golden")
_STATE = r"worst [hc]_next .* at call \d+"
_ANY = r"worst \w+ .* at call \d+"
_LOGITS = "worst logits"


def _outputs_swapped(model: onnx.ModelProto) -> None:
    rename(model, "h_next", "held")
    rename(model, "c_next", "h_next")
    rename(model, "held", "c_next")


def _inputs_swapped(model: onnx.ModelProto) -> None:
    for operator in recurrent(model):
        operator.input[5], operator.input[6] = operator.input[6], operator.input[5]


def _not_advanced(model: onnx.ModelProto) -> None:
    through_output(model, "c_next", node("Identity", ["c"], "c_next"))


def _zeroed_at_each_call(model: onnx.ModelProto) -> None:
    for operator in recurrent(model):
        operator.input[5] = operator.input[6] = ""


def _cell_state_zeroed(model: onnx.ModelProto) -> None:
    for operator in recurrent(model):
        operator.input[6] = ""


def _layer_states_swapped(model: onnx.ModelProto) -> None:
    for operator in model.graph.node:
        if operator.output[0] in {"h_next", "c_next"}:
            operator.input[:] = list(reversed(operator.input))


def _rows_leak(model: onnx.ModelProto) -> None:
    """h + (mean over the batch - h) / 10: exact for one row."""
    tenth = add_weight(model, "tenth", np.float32(0.1))
    through_input(
        model,
        "h",
        node("ReduceMean", ["h"], "h_mean", axes=[1], keepdims=1),
        node("Sub", ["h_mean", "h"], "h_away"),
        node("Mul", ["h_away", tenth], "h_leak"),
        node("Add", ["h", "h_leak"], "h_used"),
    )


def _half_state(model: onnx.ModelProto) -> None:
    for name in ("h", "c"):
        half = f"{name}_half"
        through_input(
            model,
            name,
            cast(name, half, TensorProto.FLOAT16),
            cast(half, f"{name}_used", TensorProto.FLOAT),
        )


def _narrow_tokens(to: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        through_input(
            model,
            "tokens",
            cast("tokens", "narrow", to),
            cast("narrow", "tokens_used", TensorProto.INT64),
        )

    return change


def _log_softmax(model: onnx.ModelProto) -> None:
    through_output(model, "logits", node("LogSoftmax", ["logits_raw"], "logits", axis=-1))


def _softmax(model: onnx.ModelProto) -> None:
    through_output(model, "logits", node("Softmax", ["logits_raw"], "logits", axis=-1))


def _temperature(model: onnx.ModelProto) -> None:
    through_output(
        model,
        "logits",
        node("Div", ["logits_raw", add_weight(model, "temperature", np.float32(0.8))], "logits"),
    )


def _one_step_late(model: onnx.ModelProto) -> None:
    """Feed the head what the top layer said one step before: the last layer of h, then all of y but
    its last.
    """
    numbers = {"first": [0], "last": [-1], "end": [np.iinfo(np.int64).max]}
    for name, value in numbers.items():
        add_weight(model, name, np.array(value, np.int64))
    y = recurrent(model)[-1].output[0]
    squeeze = next(
        i
        for i, operator in enumerate(model.graph.node)
        if operator.op_type == "Squeeze" and y in operator.input
    )
    made = model.graph.node[squeeze].output[0]  # [T, B, H]
    rename(model, made, "y_late")
    model.graph.node[squeeze].output[0] = made
    chain = (
        node("Slice", ["h", "last", "end", "first"], "h_top"),  # [1, B, H]
        node("Concat", ["h_top", made], "y_both", axis=0),
        node("Slice", ["y_both", "first", "last", "first"], "y_late"),
    )
    for offset, operator in enumerate(chain):
        model.graph.node.insert(squeeze + 1 + offset, operator)


def _one_state_for_all_rows(model: onnx.ModelProto) -> None:
    """Take row 0 of h for every row: a batch of one baked in."""
    for name, value in (("row_from", [0]), ("row_to", [1])):
        add_weight(model, name, np.array(value, np.int64))
    through_input(
        model,
        "h",
        node("Slice", ["h", "row_from", "row_to", "row_to"], "h_row"),  # [L, 1, H]
        node("Shape", ["h"], "h_shape"),
        node("Expand", ["h_row", "h_shape"], "h_used"),
    )


def _fault(
    name: str, imitates: str, change: Change, caught_by: tuple[str, ...], says: str, **more: str
) -> Fault:
    return Fault(name, imitates, on_onnx(change), caught_by, says, **more)


_LEAK = ("rollout", "invariance")
FAULTS = (
    _fault(
        "h and c come out swapped",
        "outputs bound by position",
        _outputs_swapped,
        _EVERYWHERE,
        _STATE,
    ),
    _fault("h and c go in swapped", "inputs bound by position", _inputs_swapped, _EVERYWHERE, _ANY),
    _fault(
        "c comes out as it went in",
        "a client never fed back (livekit/agents#4437)",
        _not_advanced,
        _EVERYWHERE,
        "worst c_next",
    ),
    _fault(
        "states zeroed at each call",
        "the initial state baked into the graph",
        _zeroed_at_each_call,
        _EVERYWHERE,
        _ANY,
    ),
    _fault(
        "cell state lost at each call", "tflite-micro#3564", _cell_state_zeroed, _EVERYWHERE, _ANY
    ),
    _fault(
        "states of two layers swapped",
        "states stacked in the wrong order",
        _layer_states_swapped,
        _EVERYWHERE,
        _STATE,
    ),
    _fault(
        "rows of a batch leak",
        "one user's state in another's (WhisperLiveKit#303)",
        _rows_leak,
        _LEAK,
        "BROKEN: .*rows",
    ),
    _fault(
        "rows of a batch leak, no reference",
        "the same, golden run alone",
        _rows_leak,
        ("invariance",),
        "BROKEN: .*rows",
        honest="release",
    ),
    _fault(
        "every row gets row 0's state",
        "a batch of one baked in",
        _one_state_for_all_rows,
        _LEAK,
        "BROKEN: .*rows",
    ),
    _fault(
        "state rounded to float16 inside", "a half-precision kernel", _half_state, _EVERYWHERE, _ANY
    ),
    _fault(
        "tokens cut to 8 bits",
        "uint8 ids, 300 tokens",
        _narrow_tokens(TensorProto.UINT8),
        _EVERYWHERE,
        _ANY,
        honest="wide",
    ),
    _fault(
        "tokens cut to 8 bits with sign",
        "int8 ids, 300 tokens",
        _narrow_tokens(TensorProto.INT8),
        _EVERYWHERE,
        _ANY,
        honest="wide",
    ),
    _fault(
        "log-softmax in the graph",
        "a loss's last layer exported; greedy is blind to it",
        _log_softmax,
        _EVERYWHERE,
        _LOGITS,
    ),
    _fault(
        "softmax in the graph",
        "applied twice by the host; greedy is blind to it",
        _softmax,
        _EVERYWHERE,
        _LOGITS,
    ),
    _fault(
        "a temperature in the graph",
        "sampling baked in; greedy is blind to it",
        _temperature,
        _EVERYWHERE,
        _LOGITS,
    ),
    _fault(
        "logits of the step before",
        "off by one in time, states right",
        _one_step_late,
        _EVERYWHERE,
        _LOGITS,
    ),
)
