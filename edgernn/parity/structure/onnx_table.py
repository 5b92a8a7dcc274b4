"""The table of ONNX operators: what each does to shapes, by the rules of ``shape_rules`` and
``shape_moves``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.parity.structure import onnx_moves as moves
from edgernn.parity.structure import shape_moves
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.onnx_call import Call, constant
from edgernn.parity.structure.sizes import (
    ONE,
    SizeError,
    Value,
    closed,
    dim,
    is_callers,
    known,
    size_of,
)

Handler = Callable[[Call], Value | list[Value]]


def _value_of_constant(call: Call) -> Value:
    for name, content in call.node.attributes.items():
        if name == "value":
            return constant(content)
        if name in {"value_float", "value_int", "value_floats", "value_ints"}:
            return known(np.array(content, object))
    raise rules.unknown(call.what)


def _each(fold: Callable[..., Any] | None = None) -> Handler:
    return lambda call: rules.elementwise(call.given, fold, call.what)


def _decided(fold: Callable[..., Any] | None = None) -> Handler:
    return lambda call: rules.decided(call.given, fold, call.what)


def _chosen(call: Call) -> Value:
    """A choice whose condition is known is no decision, whatever it chooses between."""
    return (rules.decided if call[0].known is None else rules.elementwise)(
        call.given, rules.choose, call.what
    )


def _first(call: Call) -> Value:
    """An operator whose other inputs set how each element is computed: scales, limits, statistics
    of fixed size.
    """
    if call.get("training_mode") or (call.node.op == "Dropout" and _trains(call)):
        raise SizeError(
            f"{call.what} is in training: it draws random numbers, or mixes the rows of a batch"
        )
    if any(value.has_size for value in call.given):
        raise SizeError(f"{call.what} computes with the size of an axis")
    return Value(call[0].dims)


def _trains(call: Call) -> bool:
    switch = call.maybe(2)
    return switch is not None and (switch.known is None or bool(switch.known.ravel()[0]))


def _same(call: Call) -> Value:
    return call[0]


def _cast(call: Call) -> Value:
    if call[0].has_size and call.get("to") not in {6, 7}:
        raise SizeError(f"{call.what} makes a number of the size of an axis to compute with")
    return call[0]


def _divide(left: Any, right: Any) -> Any:
    if isinstance(left, (int, np.integer)) and isinstance(right, (int, np.integer)):
        return int(left) // int(right)
    return left / right


def _reduce(call: Call) -> Value:
    axes = (
        call.numbers(1, "axes")
        if call.node.op not in {"ArgMax", "ArgMin"}
        else [call.get("axis", 0)]
    )
    if not axes:
        axes = [] if call.get("noop_with_empty_axes") else list(range(call[0].rank))
    return rules.reduce(
        call[0], [int(axis) for axis in axes], call.what, keep=bool(call.get("keepdims", 1))
    )


def _top(call: Call) -> list[Value]:
    axis = call[0].axis(call.get("axis", -1))
    closed(call[0].dims, [axis], call.what)
    (count,) = shape_moves.elements(call[1], call.what)
    made = Value((*call[0].dims[:axis], dim(count), *call[0].dims[axis + 1 :]))
    return [made, made]


def _from_axis(call: Call) -> Value:
    """A normalisation over an axis and all after it."""
    start = call[0].axis(call.get("axis", -1))
    return rules.along(call[0], range(start, call[0].rank), call.what)


def _over_places(call: Call) -> Value:
    return rules.along(call[0], range(1, call[0].rank), call.what)


def _gemm(call: Call) -> Value:
    left, right = (
        shape_moves.transpose(value, [1, 0]) if call.get(name) else value
        for value, name in ((call[0], "transA"), (call[1], "transB"))
    )
    made = rules.matmul(left, right, call.what)
    bias = call.maybe(2)
    return made if bias is None else rules.elementwise([made, bias], None, call.what)


def _quantised(call: Call) -> list[Value]:
    """One scale stands for all elements, so that all of them meet."""
    closed(call[0].dims, range(call[0].rank), call.what)
    return [Value(call[0].dims), Value(()), Value(())]


def _blocked_product(call: Call) -> Value:
    closed(call[0].dims, [call[0].rank - 1], call.what)
    return Value((*call[0].dims[:-1], dim(call.get("N"))))


def _blocked_lookup(call: Call) -> Value:
    table = call[0].dims
    wide = size_of(table[1])
    assert isinstance(wide, int)
    values = wide * 8 // call.get("bits", 4) if "bits" in call.node.attributes else wide
    return Value((*call[1].dims, dim(values)))


def _windows(call: Call) -> Value:
    if call.get("auto_pad", "NOTSET") != "NOTSET":
        raise rules.unknown(f"{call.what} with auto_pad")
    count = call[0].rank - 2
    kernel = call.get("kernel_shape") or [size_of(own) for own in call[1].dims[2:]]
    strides, pads = call.get("strides") or [1] * count, call.get("pads") or [0] * 2 * count
    wide = [
        (k - 1) * d + 1 for k, d in zip(kernel, call.get("dilations") or [1] * count, strict=True)
    ]
    up = bool(call.get("ceil_mode", 0))
    spatial = [(wide[i], strides[i], pads[i], pads[i + count], up) for i in range(count)]
    channels = size_of(call[1].dims[0]) if call.node.op == "Conv" else None
    assert channels is None or isinstance(channels, int)
    return rules.convolve(call[0], spatial, channels, call.what)


def _whole_window(call: Call) -> Value:
    return rules.reduce(call[0], range(2, call[0].rank), call.what, keep=True)


def _recurrent(call: Call) -> list[Value]:
    if call[0].dims[0] != ONE and not is_callers(call[0].dims[0]) and call.maybe(4) is None:
        return _within(call)
    if (
        call.get("direction", "forward") != "forward"
        or call.get("layout", 0)
        or call.maybe(4) is not None
    ):
        raise SizeError(f"{call.what} does not go forward in time alone, all of it")
    states = [value for place in (5, 6) if (value := call.maybe(place)) is not None]
    left = rules.recurrent(call[0], states, call.what, batch_axis=1, time_axis=0)
    hidden, (time, batch) = dim(call.get("hidden_size")), call[0].dims[:2]
    new = Value((ONE, batch, hidden))
    return [Value((time, ONE, batch, hidden)), *(left or [new, new])]


def _within(call: Call) -> list[Value]:
    """A recurrent operator over an axis of a frame, one way or both: each frame by itself."""
    length, batch, _ = call[0].dims
    states = [value for place in (5, 6) if (value := call.maybe(place)) is not None]
    rules.within(call[0], states, call.what, batch_axis=1)
    ways = dim(2 if call.get("direction", "forward") == "bidirectional" else 1)
    hidden = dim(call.get("hidden_size"))
    left = Value((ways, batch, hidden))
    return [Value((length, ways, batch, hidden)), left, left]


_UNARY = """
Abs Acos Asin Atan Celu Cos Elu Erf Exp Gelu HardSigmoid HardSwish LeakyRelu Log Mish Reciprocal
Relu Selu Sigmoid Sin Softplus Softsign Sqrt Tan Tanh
"""
_BINARY = "Max Mean Min PRelu Pow Sum"
_REDUCING = """
ArgMax ArgMin ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare
"""
_DECIDING = """
And BitShift BitwiseAnd Ceil Floor GreaterOrEqual IsInf IsNaN LessOrEqual Mod Not Or Round Sign
ThresholdedRelu Xor
"""
TABLE: dict[str, Handler] = {
    **dict.fromkeys((*_UNARY.split(), *_BINARY.split()), _each()),
    **dict.fromkeys(_DECIDING.split(), _decided()),
    "Add": _each(operator.add),
    "Sub": _each(operator.sub),
    "Mul": _each(rules.times),
    "Div": _each(_divide),
    "Neg": _each(operator.neg),
    "Equal": _decided(rules.equal),
    "Greater": _decided(rules.above),
    "Less": _decided(lambda left, right: rules.above(right, left)),
    "Where": _chosen,
    **dict.fromkeys(
        ("BatchNormalization", "Clip", "DequantizeLinear", "Dropout", "QuantizeLinear"), _first
    ),
    "Identity": _same,
    "Cast": _cast,
    "Constant": _value_of_constant,
    "ConstantOfShape": moves.constant_of_shape,
    "Shape": moves.shape,
    "Size": moves.count,
    "Range": moves.count_up,
    "Gather": lambda call: shape_moves.take(call[0], call[1], call.get("axis", 0), call.what),
    "GatherElements": moves.gather_elements,
    **dict.fromkeys(("ScatterElements", "ScatterND"), moves.scatter),
    "Slice": moves.cut_ranges,
    "Split": moves.split,
    "Concat": lambda call: shape_moves.concat(call.given, call.get("axis", 0), call.what),
    "Reshape": lambda call: shape_moves.reshape(call[0], shape_moves.elements(call[1], call.what)),
    "Flatten": moves.flatten,
    "Transpose": moves.transpose,
    "Squeeze": moves.squeeze,
    "Unsqueeze": moves.unsqueeze,
    "Expand": moves.expand,
    "Tile": moves.tile,
    "Pad": moves.pad,
    **dict.fromkeys(_REDUCING.split(), _reduce),
    **dict.fromkeys(
        ("LogSoftmax", "Softmax"),
        lambda call: rules.along(call[0], [call.get("axis", -1)], call.what),
    ),
    "CumSum": lambda call: rules.along(
        call[0], [int(shape_moves.elements(call[1], call.what)[0])], call.what
    ),
    "TopK": _top,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _from_axis),
    **dict.fromkeys(("GroupNormalization", "InstanceNormalization", "LRN"), _over_places),
    "MatMul": lambda call: rules.matmul(call[0], call[1], call.what),
    "Gemm": _gemm,
    "DynamicQuantizeLinear": _quantised,
    "MatMulInteger": lambda call: rules.matmul(call[0], call[1], call.what),
    "MatMulNBits": _blocked_product,
    "GatherBlockQuantized": _blocked_lookup,
    **dict.fromkeys(("AveragePool", "Conv", "MaxPool"), _windows),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _whole_window),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
}
