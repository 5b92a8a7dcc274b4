"""What torch's tensor operators do to shapes, by their names in TorchScript; see ``shape_rules``.

Each takes the operator's arguments by the names of torch's own schema.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from edgernn.parity.structure import shape_moves
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure import torchscript_moves as moves
from edgernn.parity.structure.sizes import (
    ONE,
    Dim,
    Size,
    SizeError,
    Value,
    closed,
    dim,
    is_callers,
    joined,
    size_of,
)
from edgernn.parity.structure.torchscript_moves import Arguments, Handler
from edgernn.parity.structure.torchscript_places import count_up


def _each(
    fold: Callable[..., Any] | None = None, rule: Callable[..., Value] = rules.elementwise
) -> Handler:
    def handler(given: Arguments, what: str) -> Any:
        operands = [
            value for name, value in given.items() if name not in _SETTINGS and _counts(value)
        ]
        made = rule([moves.value_of(value) for value in operands], fold, what)
        plain = not any(isinstance(value, Value) for value in operands)
        return made.known.item() if plain and made.known is not None else made

    return handler


_SETTINGS = frozenset(("alpha", "rounding_mode", "approximate", "dtype", "negative_slope", "lambd"))


def _counts(value: Any) -> bool:
    return isinstance(value, (Value, int, float, Size)) and not isinstance(value, bool)


def _reduce(given: Arguments, what: str) -> Any:
    if "other" in given:  # the larger or smaller of two
        return rules.elementwise([given["self"], given["other"]], None, what)
    axes = given.get("dim")
    axes = (
        list(range(given["self"].rank))
        if axes in (None, [])
        else [axes]
        if isinstance(axes, int)
        else axes
    )
    made = rules.reduce(given["self"], axes, what, keep=bool(given.get("keepdim")))
    pair = what in {"aten::max", "aten::min"} and given.get("dim") is not None
    return [made, made] if pair else made


def _along(given: Arguments, what: str) -> Value:
    return rules.along(given["self"], [given["dim"]], what)


def _layer_norm(given: Arguments, what: str) -> Value:
    count = len(given["normalized_shape"])
    return rules.along(
        given["input"], range(given["input"].rank - count, given["input"].rank), what
    )


def _over_places(given: Arguments, what: str) -> Value:
    return rules.along(given["input"], range(1, given["input"].rank), what)


def _linear(given: Arguments, what: str) -> Value:
    return rules.matmul(given["input"], shape_moves.transpose(given["weight"], [1, 0]), what)


def _product(given: Arguments, what: str) -> Value:
    return rules.matmul(given["self"], given["mat2"] if "mat2" in given else given["other"], what)


def _product_and_sum(given: Arguments, what: str) -> Value:
    left, right = ("mat1", "mat2") if "mat1" in given else ("batch1", "batch2")
    made = rules.matmul(given[left], given[right], what)
    return rules.elementwise([given["self"], made], None, what)


def _embedding(given: Arguments, what: str) -> Value:
    return shape_moves.take(given["weight"], given["indices"], 0, what)


def _gather(given: Arguments, what: str) -> Value:
    closed(given["self"].dims, [given["dim"]], what)
    return Value(given["index"].dims)


def _convolution(given: Arguments, what: str) -> Value:
    if given.get("transposed"):
        raise rules.unknown(f"{what} that is transposed")
    if isinstance(given["padding"], str):
        raise rules.unknown(f"{what} with padding {given['padding']}")
    weight = given["weight"].dims
    count = given["input"].rank - 2
    wide = [(_number(weight[2 + i]) - 1) * given["dilation"][i] + 1 for i in range(count)]
    spatial = [
        (wide[i], given["stride"][i], given["padding"][i], given["padding"][i], False)
        for i in range(count)
    ]
    return rules.convolve(given["input"], spatial, _number(weight[0]), what)


def _pool(given: Arguments, what: str) -> Value:
    kernel, padding = given["kernel_size"], given["padding"]
    stride, dilation = given["stride"] or kernel, given.get("dilation") or [1] * len(kernel)
    spatial = [
        (
            (kernel[i] - 1) * dilation[i] + 1,
            stride[i],
            padding[i],
            padding[i],
            bool(given["ceil_mode"]),
        )
        for i in range(len(kernel))
    ]
    return rules.convolve(given["self"], spatial, None, what)


def _number(found: Dim) -> int:
    size = size_of(found)
    if isinstance(size, Size):
        raise SizeError(f"a weight has an axis of {size}")
    return size


def _whole_window(given: Arguments, what: str) -> Value:
    value, sizes = given["self"], given["output_size"]
    closed(value.dims, range(1, value.rank), what)
    return Value((*value.dims[: -len(sizes)], *map(dim, sizes)))


def _recurrent(given: Arguments, what: str) -> list[Value]:
    states = given["hx"] if isinstance(given["hx"], list) else [given["hx"]]
    first = 1 if not given["batch_first"] else 0
    batch_axis, time_axis = (first, 1 - first)
    along = given["input"].dims[time_axis]
    if along != ONE and not is_callers(along) and "data" not in given:
        ways = 2 if given.get("bidirectional") else 1
        rules.within(given["input"], states, what, batch_axis=batch_axis)
        hidden = joined([dim(ways), states[0].dims[2]])
        return [Value((*given["input"].dims[:2], hidden)), *(Value(s.dims) for s in states)]
    if given.get("bidirectional") or "data" in given:
        raise SizeError(f"{what} does not go forward in time alone")
    left = rules.recurrent(given["input"], states, what, batch_axis=batch_axis, time_axis=time_axis)
    return [Value((*given["input"].dims[:2], states[0].dims[2])), *left]


_UNARY = """
abs celu cos elu erf exp expm1 gelu hardsigmoid hardswish hardtanh leaky_relu log log1p log_sigmoid
mish neg reciprocal relu relu6 rsqrt selu sigmoid silu sin softplus sqrt square tanh clamp clamp_max
clamp_min
"""
_BINARY = "addcdiv addcmul lerp maximum minimum pow prelu"
_DECIDING = """
bitwise_and bitwise_or ceil eq floor fmod ge gt le logical_and logical_not logical_or lt masked_fill
ne remainder round sign trunc where
"""
_IN_PLACE = """
add_ clamp_ div_ elu_ hardsigmoid_ hardswish_ hardtanh_ leaky_relu_ mul_ relu6_ relu_ selu_ sigmoid_
silu_ sub_ tanh_
"""
TABLE: dict[str, Handler] = {
    f"aten::{name}": handler
    for name, handler in {
        **dict.fromkeys((*_UNARY.split(), *_BINARY.split(), *_IN_PLACE.split()), _each()),
        **dict.fromkeys(_DECIDING.split(), _each(rule=rules.decided)),
        "add": _each(operator.add),
        "sub": _each(operator.sub),
        "mul": _each(rules.times),
        "div": _each(),
        "rsub": _each(),
        "floordiv": _each(operator.floordiv),
        **dict.fromkeys(
            (
                "dropout",
                "feature_dropout",
                "batch_norm",
                "to",
                "contiguous",
                "clone",
                "alias",
                "type_as",
            ),
            moves.same,
        ),
        **dict.fromkeys(("zeros_like", "ones_like", "full_like"), moves.like),
        **dict.fromkeys(
            ("zeros", "ones", "full", "new_zeros", "new_ones", "new_full"), moves.filled
        ),
        "arange": count_up,
        "size": moves.size,
        **dict.fromkeys(("view", "reshape", "_unsafe_view"), moves.view),
        "flatten": moves.flatten,
        "expand": lambda given, what: shape_moves.expand(
            given["self"], moves.sizes_of(given["size"], what), keep=-1
        ),
        "expand_as": lambda given, what: shape_moves.expand(
            given["self"], [size_of(own) for own in given["other"].dims]
        ),
        **dict.fromkeys(("transpose", "t"), moves.transpose),
        "permute": moves.permute,
        "select": moves.select,
        "slice": moves.cut,
        "squeeze": moves.squeeze,
        "unsqueeze": lambda given, what: shape_moves.unsqueeze(given["self"], [given["dim"]]),
        "chunk": moves.chunk,
        "unsafe_chunk": moves.chunk,
        **dict.fromkeys(("split", "split_with_sizes"), moves.split),
        "cat": lambda given, what: shape_moves.concat(given["tensors"], given["dim"], what),
        "stack": moves.stack,
        **dict.fromkeys(("pad", "constant_pad_nd"), moves.pad),
        "index_select": lambda given, what: shape_moves.take(
            given["self"], given["index"], given["dim"], what
        ),
        "embedding": _embedding,
        "gather": _gather,
        **dict.fromkeys(
            ("sum", "mean", "amax", "amin", "max", "min", "argmax", "argmin", "prod", "logsumexp"),
            _reduce,
        ),
        **dict.fromkeys(("softmax", "log_softmax", "cumsum"), _along),
        "layer_norm": _layer_norm,
        "group_norm": _over_places,
        "linear": _linear,
        **dict.fromkeys(("matmul", "mm", "bmm"), _product),
        **dict.fromkeys(("addmm", "baddbmm"), _product_and_sum),
        **dict.fromkeys(("_convolution", "conv1d", "conv2d", "convolution"), _convolution),
        **dict.fromkeys(("avg_pool1d", "avg_pool2d", "max_pool1d", "max_pool2d"), _pool),
        **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d"), _whole_window),
        **dict.fromkeys(("gru", "lstm", "rnn_tanh", "rnn_relu"), _recurrent),
    }.items()
}
