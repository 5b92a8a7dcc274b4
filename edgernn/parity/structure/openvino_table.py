"""The table of OpenVINO's operators: what each does to shapes, by the rules of ``shape_rules`` and
``shape_moves``.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.parity.structure import places, shape_moves
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.openvino_call import IrCall
from edgernn.parity.structure.sizes import (
    ONE,
    Size,
    SizeError,
    Value,
    closed,
    dim,
    is_callers,
    known,
    size_of,
)

Handler = Callable[[IrCall], Value | list[Value]]
_END = 1 << 62
SEQUENCES = {"LSTMSequence": (1, 2), "GRUSequence": (1,), "RNNSequence": (1,)}  # → states


def _each(fold: Callable[..., Any] | None = None) -> Handler:
    return lambda call: rules.elementwise(call.values, fold, call.what)


def _decided(fold: Callable[..., Any] | None = None) -> Handler:
    return lambda call: rules.decided(call.values, fold, call.what)


def _chosen(call: IrCall) -> Value:
    choose = rules.decided if call[0].known is None else rules.elementwise
    return choose(call.values, rules.choose, call.what)


def _convert(call: IrCall) -> Value:
    if call[0].has_size and call.get("destination_type") not in {"i32", "i64"}:
        raise SizeError(f"{call.what} makes a number of the size of an axis to compute with")
    return call[0]


def _divide(left: Any, right: Any) -> Any:
    return left // right if isinstance(left, int) and isinstance(right, int) else left / right


def _reduce(call: IrCall) -> Value:
    return rules.reduce(call[0], call.whole(1), call.what, keep=call.yes("keep_dims"))


def _along(call: IrCall) -> Value:
    return rules.along(call[0], [int(call.get("axis", "-1"))], call.what)


def _normalised(call: IrCall) -> Value:
    return rules.along(call[0], call.whole(1), call.what)


def _matmul(call: IrCall) -> Value:
    left, right = (
        shape_moves.transpose(value, [*range(value.rank - 2), value.rank - 1, value.rank - 2])
        if call.yes(name) and value.rank > 1
        else value
        for value, name in ((call[0], "transpose_a"), (call[1], "transpose_b"))
    )
    return rules.matmul(left, right, call.what)


def _gather(call: IrCall) -> Value:
    if int(call.get("batch_dims", "0")):
        raise rules.unknown(f"{call.what} with batch_dims")
    return shape_moves.take(call[0], call[1], call.whole(2)[0], call.what)


def _slice(call: IrCall) -> Value:
    starts, ends, steps = (call.elements(place) for place in (1, 2, 3))
    axes = call.whole(4) if len(call.values) > 4 else list(range(len(starts)))
    value = call[0]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        value = shape_moves.cut(value, axis, start, end, call.what, step=int(step))
    return value


def _strided(call: IrCall) -> Value:
    if any("1" in call.get(f"{name}_mask") for name in ("new_axis", "shrink_axis", "ellipsis")):
        raise rules.unknown(f"{call.what} with new or lost axes")
    starts, ends, steps = (call.elements(place) for place in (1, 2, 3))
    ignored = [call.numbers(f"{name}_mask") + [0] * len(starts) for name in ("begin", "end")]
    value = call[0]
    for axis, (start, end, step) in enumerate(zip(starts, ends, steps, strict=True)):
        first, last = (0 if ignored[0][axis] else start), (_END if ignored[1][axis] else end)
        value = shape_moves.cut(value, axis, first, last, call.what, step=int(step))
    return value


def _count_up(call: IrCall) -> Value:
    (start,), (end,), (step,) = (call.elements(place) for place in range(3))
    if (start, step) == (0, 1) and isinstance(end, Size):
        return places.count_up(end, call.what)
    if isinstance(end, Size):
        raise SizeError(f"{call.what} counts to the size of an axis")
    return known(np.arange(start, end, step).astype(object))


def _multiplied(call: IrCall) -> Value:
    if call[0].known is None:
        return _reduce(call)
    whole: Any = functools.reduce(rules.times, call[0].known.ravel(), 1)
    return known([whole] if call.yes("keep_dims") else whole)


def _split(call: IrCall) -> list[Value]:
    axis = call[0].axis(call.whole(1)[0])
    parts = int(call.get("num_splits", "1"))
    closed(call[0].dims, [axis], call.what)
    whole = size_of(call[0].dims[axis])
    assert isinstance(whole, int)
    return shape_moves.split(call[0], axis, [whole // parts] * parts, call.what)


def _parts(call: IrCall) -> list[Value]:
    axis, sizes = call[0].axis(call.whole(1)[0]), call.whole(2)
    whole = size_of(call[0].dims[axis])
    if -1 in sizes and isinstance(whole, int):
        rest = whole - sum(size for size in sizes if size != -1)
        sizes = [rest if size == -1 else size for size in sizes]
    return shape_moves.split(call[0], axis, sizes, call.what)


def _reshape(call: IrCall) -> Value:
    targets = call.elements(1)
    if not call.yes("special_zero") and 0 in targets:
        raise rules.unknown(f"{call.what} to a size of 0")
    return shape_moves.reshape(call[0], targets)


def _broadcast(call: IrCall) -> Value:
    if call.get("mode", "numpy") not in {"numpy", "bidirectional"}:
        raise rules.unknown(f"{call.what} by {call.get('mode')}")
    value, sizes = call[0], call.elements(1)
    if value.known is not None and value.known.size == 1:
        return shape_moves.filled(call[1], value.known.ravel()[0], call.what)
    return shape_moves.expand(value, sizes)


def _pad(call: IrCall) -> Value:
    dims = list(call[0].dims)
    for axis, (before, after) in enumerate(zip(call.whole(1), call.whole(2), strict=True)):
        if before or after:
            closed(call[0].dims, [axis], call.what)
            size = size_of(dims[axis])
            assert isinstance(size, int)
            dims[axis] = dim(size + before + after)
    return Value(tuple(dims))


def _squeeze(call: IrCall) -> Value:
    return shape_moves.squeeze(call[0], call.whole(1) if len(call.values) > 1 else None)


def _windows(kernel: Callable[[IrCall], tuple[list[int], int | None]]) -> Handler:
    def slide(call: IrCall) -> list[Value]:
        if call.get("auto_pad", "explicit") not in {"explicit", "valid", "notset"}:
            raise rules.unknown(f"{call.what} with auto_pad")
        sizes, channels = kernel(call)
        dilations = call.numbers("dilations") or [1] * len(sizes)
        spatial = [
            ((size - 1) * wide + 1, step, before, after, call.get("rounding_type") == "ceil")
            for size, wide, step, before, after in zip(
                sizes,
                dilations,
                call.numbers("strides"),
                call.numbers("pads_begin"),
                call.numbers("pads_end"),
                strict=True,
            )
        ]
        made = rules.convolve(call[0], spatial, channels, call.what)
        return [made, made]

    return slide


def _kernel(call: IrCall) -> tuple[list[int], int | None]:
    return call.numbers("kernel"), None


def _weights(call: IrCall) -> tuple[list[int], int | None]:
    grouped = call.layer.kind == "GroupConvolution"
    sizes = [size for own in call[1].dims if isinstance(size := size_of(own), int)]
    channels = sizes[0] * sizes[1] if grouped else sizes[0]
    return sizes[3:] if grouped else sizes[2:], channels


def _sequence(call: IrCall) -> list[Value]:
    """A recurrent operator over time: ``x [B, T, I]``, states ``[B, 1, H]``, lengths ``[B]``."""
    places = SEQUENCES[call.layer.kind]
    lengths = places[-1] + 1
    time = size_of(call[0].dims[1])
    whole = call.fills[lengths]
    if whole is None and (held := call[lengths].known) is not None and len(set(held)) == 1:
        whole = held.ravel()[0]
    if call.get("direction", "forward") != "forward" or whole != time:
        raise SizeError(f"{call.what} does not go forward in time alone, all of it")
    states = [
        Value(
            (call[place].dims[1], call[place].dims[0], *call[place].dims[2:]), part=call[place].part
        )
        for place in places
    ]
    batch, hidden = call[0].dims[0], dim(int(call.get("hidden_size")))
    if call[0].dims[1] != ONE and not is_callers(call[0].dims[1]):  # each row by itself
        rules.within(call[0], states, call.what, batch_axis=0)
        after = [Value((ONE, batch, hidden)) for _ in states]
    else:
        after = rules.recurrent(call[0], states, call.what, batch_axis=0, time_axis=1)
    left = [Value((batch, ONE, *own.dims[2:]), part=own.part) for own in after]
    return [Value((batch, ONE, call[0].dims[1], hidden)), *left]


_UNARY = """
Abs Acos Acosh Asin Asinh Atan Atanh Clamp Cos Cosh Elu Erf Exp Gelu HSigmoid HSwish HardSigmoid
Log Mish PReLU PRelu ReLU Relu Selu Sigmoid Sin Sinh SoftPlus SoftSign Softplus Sqrt Swish Tan Tanh
"""
_BINARY = "Maximum Minimum Power SquaredDifference"
_DECIDING = """
Ceiling FloorMod Floor IsInf IsNaN LogicalAnd LogicalNot LogicalOr LogicalXor Mod NotEqual Round
GreaterEqual LessEqual Sign
"""
_REDUCING = "ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum"
TABLE: dict[str, Handler] = {
    **dict.fromkeys((*_UNARY.split(), *_BINARY.split()), _each()),
    **dict.fromkeys(_DECIDING.split(), _decided()),
    "Add": _each(operator.add),
    "Subtract": _each(operator.sub),
    "Multiply": _each(rules.times),
    "Divide": _each(_divide),
    "Negative": _each(operator.neg),
    "Equal": _decided(rules.equal),
    "Greater": _decided(rules.above),
    "Less": _decided(lambda left, right: rules.above(right, left)),
    "Select": _chosen,
    "Convert": _convert,
    "ShapeOf": lambda call: shape_moves.shape_of(call[0]),
    "Broadcast": _broadcast,
    "Gather": _gather,
    "Slice": _slice,
    "StridedSlice": _strided,
    "Range": _count_up,
    "ReduceProd": _multiplied,
    "Split": _split,
    "VariadicSplit": _parts,
    "Concat": lambda call: shape_moves.concat(call.values, int(call.get("axis")), call.what),
    "Reshape": _reshape,
    "Transpose": lambda call: shape_moves.transpose(call[0], call.whole(1)),
    "Squeeze": _squeeze,
    "Unsqueeze": lambda call: shape_moves.unsqueeze(call[0], call.whole(1)),
    "Pad": _pad,
    "MatMul": _matmul,
    **dict.fromkeys(_REDUCING.split(), _reduce),
    **dict.fromkeys(("LogSoftmax", "SoftMax", "Softmax"), _along),
    "MVN": _normalised,
    **dict.fromkeys(("Convolution", "GroupConvolution"), _windows(_weights)),
    **dict.fromkeys(("AvgPool", "MaxPool"), _windows(_kernel)),
    **dict.fromkeys(SEQUENCES, _sequence),
}
