"""The structure of an ONNX step or encode graph: every operator followed with batch and time as
unknowns.

The table says for each operator what it does to shapes, by the rules of ``shape_rules``. What
branches, repeats, draws random numbers or has a size that depends on data is refused by name; an
operator that is in no table is not known, and then nothing is proved.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgernn.contract import TIME, next_name
from edgernn.contract.interface import FileTensor, Interface
from edgernn.parity.structure import onnx_moves as moves
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.onnx_call import Call, constant
from edgernn.parity.structure.sizes import (
    ONE,
    SizeError,
    UnknownError,
    Value,
    closed,
    dim,
    known,
    shown,
    size_of,
)
from edgernn.sessions.ort.graph import OnnxGraph

REFUSED = {
    **dict.fromkeys(("If", "Loop", "Scan"), "branches or repeats"),
    **dict.fromkeys(
        (
            "Bernoulli",
            "Multinomial",
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
        ),
        "draws random numbers",
    ),
    **dict.fromkeys(
        ("Compress", "NonZero", "Unique", "NonMaxSuppression"),
        "has a result whose size depends on data",
    ),
}

Handler = Callable[[Call], Value | list[Value]]


def follow(graph: OnnxGraph, interface: Interface) -> int:
    """Follow every operator of ``graph``; return how many there are.

    Raises:
        SizeError: something depends on a size, branches, draws or mixes; or an output has another
            shape than promised.
        UnknownError: an operator is not known.
    """
    values: dict[str, Value] = {name: constant(tensor) for name, tensor in graph.constants.items()}
    values |= {tensor.name: input_of(tensor, interface) for tensor in interface.inputs}
    for node in graph.nodes:  # first, for these say most
        if node.op in REFUSED:
            raise SizeError(f"{node.op} ({node.name or node.outputs[0]}) {REFUSED[node.op]}")
    for node in graph.nodes:
        lost = [name for name in node.inputs if name and name not in values]
        if lost:
            raise SizeError(
                f"{node.op} ({node.name or node.outputs[0]}) reads {lost[0]}, which is no "
                "input of the contract"
            )
        call = Call(node, [values[name] if name else None for name in node.inputs])
        handler = _TABLE.get(node.op)
        if handler is None:
            raise rules.unknown(call.what)
        made = handler(call)
        for name, value in zip(
            node.outputs, made if isinstance(made, list) else [made], strict=False
        ):
            values[name] = value
    check_outputs(values, interface)
    return len(graph.nodes)


def is_known(op: str) -> bool:
    """Return whether an operator is in the table."""
    return op in _TABLE


def input_of(tensor: FileTensor, interface: Interface) -> Value:
    """Return what is known of an input; it is a state where an output is named after it."""
    is_state = next_name(tensor.name) in {output.name for output in interface.outputs}
    return rules.input_value(tensor.name, tuple(map(dim, tensor.shape or ())), is_state=is_state)


def check_outputs(found: Mapping[str, Value], interface: Interface) -> None:
    """Raise SizeError where an output has another shape than promised at some size, or a state is
    not what its layers left.
    """
    timed = any(TIME in (tensor.shape or ()) for tensor in interface.inputs)
    for tensor in interface.outputs:
        wanted = tuple(map(dim, tensor.shape or ()))
        if tensor.name not in found:
            raise SizeError(f"the graph does not make {tensor.name}")
        value = found[tensor.name]
        if value.dims != wanted:
            raise SizeError(
                f"{tensor.name} has shape {shown(value.dims)}, expected {shown(wanted)}"
            )
        before = next(
            (given for given in interface.inputs if next_name(given.name) == tensor.name), None
        )
        if before is not None and timed:
            _check_state(tensor.name, value, input_of(before, interface))


def _check_state(name: str, value: Value, before: Value) -> None:
    """Where a call may have any number of steps, the next state must be what its own recurrent
    layers left, all of them.
    """
    wanted = before.part and replace(before.part, after=True)
    if wanted is None or value.part != wanted:
        raise UnknownError(
            f"{name} is not what recurrent layers left of a state, all of it, so nothing is "
            "proved of any cut"
        )


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
    (count,) = rules.elements(call[1], call.what)
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
        rules.transpose(value, [1, 0]) if call.get(name) else value
        for value, name in ((call[0], "transA"), (call[1], "transB"))
    )
    made = rules.matmul(left, right, call.what)
    bias = call.maybe(2)
    return made if bias is None else rules.elementwise([made, bias], None, call.what)


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


_UNARY = """
Abs Acos Asin Atan Celu Cos Elu Erf Exp Gelu HardSigmoid HardSwish LeakyRelu Log Mish Reciprocal Relu Selu Sigmoid Sin Softplus
Softsign Sqrt Tan Tanh
"""
_BINARY = "Max Mean Min PRelu Pow Sum"
_DECIDING = """
And BitShift BitwiseAnd Ceil Floor GreaterOrEqual IsInf IsNaN LessOrEqual Mod Not Or Round Sign ThresholdedRelu Xor
"""
_TABLE: dict[str, Handler] = {
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
    "Gather": lambda call: rules.take(call[0], call[1], call.get("axis", 0), call.what),
    "GatherElements": moves.gather_elements,
    **dict.fromkeys(("ScatterElements", "ScatterND"), moves.scatter),
    "Slice": moves.cut_ranges,
    "Split": moves.split,
    "Concat": lambda call: rules.concat(call.given, call.get("axis", 0), call.what),
    "Reshape": lambda call: rules.reshape(call[0], rules.elements(call[1], call.what)),
    "Flatten": moves.flatten,
    "Transpose": moves.transpose,
    "Squeeze": moves.squeeze,
    "Unsqueeze": moves.unsqueeze,
    "Expand": moves.expand,
    "Tile": moves.tile,
    "Pad": moves.pad,
    **dict.fromkeys(
        (
            *(
                "ArgMax",
                "ArgMin",
                "ReduceL1",
                "ReduceL2",
                "ReduceLogSumExp",
                "ReduceMax",
                "ReduceMean",
                "ReduceMin",
            ),
            *("ReduceProd", "ReduceSum", "ReduceSumSquare"),
        ),
        _reduce,
    ),
    **dict.fromkeys(
        ("LogSoftmax", "Softmax"),
        lambda call: rules.along(call[0], [call.get("axis", -1)], call.what),
    ),
    "CumSum": lambda call: rules.along(
        call[0], [int(rules.elements(call[1], call.what)[0])], call.what
    ),
    "TopK": _top,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _from_axis),
    **dict.fromkeys(("GroupNormalization", "InstanceNormalization", "LRN"), _over_places),
    "MatMul": lambda call: rules.matmul(call[0], call[1], call.what),
    "Gemm": _gemm,
    "MatMulNBits": _blocked_product,
    "GatherBlockQuantized": _blocked_lookup,
    **dict.fromkeys(("AveragePool", "Conv", "MaxPool"), _windows),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _whole_window),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
}
