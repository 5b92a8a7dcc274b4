"""What torch's tensor operators do to shapes, by their names in TorchScript; see ``shape_rules``.

Each takes the operator's arguments by the names of torch's own schema.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.sizes import (
    ONE,
    Dim,
    Size,
    SizeError,
    Value,
    closed,
    dim,
    joined,
    known,
    size_of,
)

Arguments = Mapping[str, Any]
Handler = Callable[[Arguments, str], Any]


def _value(content: Any) -> Value:
    """Return a number or a size as a tensor of no axes."""
    return content if isinstance(content, Value) else known(np.array(content, object))


def _each(
    fold: Callable[..., Any] | None = None, rule: Callable[..., Value] = rules.elementwise
) -> Handler:
    def handler(given: Arguments, what: str) -> Any:
        operands = [
            value for name, value in given.items() if name not in _SETTINGS and _counts(value)
        ]
        made = rule([_value(value) for value in operands], fold, what)
        plain = not any(isinstance(value, Value) for value in operands)
        return made.known.item() if plain and made.known is not None else made

    return handler


_SETTINGS = frozenset(("alpha", "rounding_mode", "approximate", "dtype", "negative_slope", "lambd"))


def _counts(value: Any) -> bool:
    return isinstance(value, (Value, int, float, Size)) and not isinstance(value, bool)


def _same(given: Arguments, what: str) -> Value:
    value: Value = given["self"] if "self" in given else given["input"]
    if value.has_size:
        raise SizeError(f"{what} computes with the size of an axis")
    return value


def _sizes(given: Any, what: str) -> list[Any]:
    found = [
        size.known.item() if isinstance(size, Value) and size.known is not None else size
        for size in given
    ]
    if any(isinstance(size, Value) for size in found):
        raise SizeError(f"{what} takes a shape that is computed from data")
    return found


def _size(given: Arguments, what: str) -> Any:
    sizes = [size_of(own) for own in given["self"].dims]
    return sizes if given.get("dim") is None else sizes[given["dim"]]


def _filled(given: Arguments, what: str) -> Value:
    return Value(tuple(map(dim, _sizes(given["size"], what))))


def _like(given: Arguments, what: str) -> Value:
    return Value(given["self"].dims)


def _view(given: Arguments, what: str) -> Value:
    return rules.reshape(
        given["self"], _sizes(given["size"] if "size" in given else given["shape"], what)
    )


def _flatten(given: Arguments, what: str) -> Value:
    value, start, end = (
        given["self"],
        given["self"].axis(given["start_dim"]),
        given["self"].axis(given["end_dim"]),
    )
    return Value((*value.dims[:start], joined(value.dims[start : end + 1]), *value.dims[end + 1 :]))


def _transpose(given: Arguments, what: str) -> Value:
    value = given["self"]
    order = list(range(value.rank))
    a, b = (given["dim0"], given["dim1"]) if "dim0" in given else (0, value.rank - 1)
    order[value.axis(a)], order[value.axis(b)] = order[value.axis(b)], order[value.axis(a)]
    return rules.transpose(value, order)


def _permute(given: Arguments, what: str) -> Value:
    return rules.transpose(given["self"], [given["self"].axis(axis) for axis in given["dims"]])


def _select(given: Arguments, what: str) -> Value:
    return rules.take(given["self"], _value(given["index"]), given["dim"], what)


def _cut(given: Arguments, what: str) -> Value:
    start, end = given["start"] or 0, given["end"] if given["end"] is not None else 1 << 62
    return rules.cut(given["self"], given["dim"], start, end, what, step=given["step"])


def _squeeze(given: Arguments, what: str) -> Value:
    axes = given.get("dim")
    if (
        isinstance(axes, int)
        and given["self"].dims[axes] != ONE
        and not _is_open(given["self"].dims[axes])
    ):
        return _same(given, what)  # torch leaves an axis that has more than one element
    return rules.squeeze(given["self"], [axes] if isinstance(axes, int) else axes)


def _is_open(found: Dim) -> bool:
    return isinstance(size_of(found), Size)


def _chunk(given: Arguments, what: str) -> list[Value]:
    axis = given["self"].axis(given["dim"])
    closed(given["self"].dims, [axis], what)
    whole, parts = size_of(given["self"].dims[axis]), given["chunks"]
    assert isinstance(whole, int)
    return _pieces(given["self"], axis, whole, -(-whole // parts), what)


def _split(given: Arguments, what: str) -> list[Value]:
    axis = given["self"].axis(given["dim"])
    if "split_sizes" in given:
        return rules.split(given["self"], axis, _sizes(given["split_sizes"], what), what)
    closed(given["self"].dims, [axis], what)
    whole = size_of(given["self"].dims[axis])
    assert isinstance(whole, int)
    return _pieces(given["self"], axis, whole, given["split_size"], what)


def _pieces(value: Value, axis: int, whole: int, each: int, what: str) -> list[Value]:
    sizes = [min(each, whole - start) for start in range(0, whole, each)]
    return rules.split(value, axis, sizes, what)


def _stack(given: Arguments, what: str) -> Value:
    values = [rules.unsqueeze(value, [given["dim"]]) for value in given["tensors"]]
    return rules.concat(values, given["dim"], what)


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
    return rules.matmul(given["input"], rules.transpose(given["weight"], [1, 0]), what)


def _product(given: Arguments, what: str) -> Value:
    return rules.matmul(given["self"], given["mat2"] if "mat2" in given else given["other"], what)


def _product_and_sum(given: Arguments, what: str) -> Value:
    left, right = ("mat1", "mat2") if "mat1" in given else ("batch1", "batch2")
    made = rules.matmul(given[left], given[right], what)
    return rules.elementwise([given["self"], made], None, what)


def _embedding(given: Arguments, what: str) -> Value:
    return rules.take(given["weight"], given["indices"], 0, what)


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
    if given.get("bidirectional") or "data" in given:
        raise SizeError(f"{what} does not go forward in time alone")
    states = given["hx"] if isinstance(given["hx"], list) else [given["hx"]]
    first = 1 if not given["batch_first"] else 0
    batch_axis, time_axis = (first, 1 - first)
    left = rules.recurrent(given["input"], states, what, batch_axis=batch_axis, time_axis=time_axis)
    return [Value((*given["input"].dims[:2], states[0].dims[2])), *left]


_UNARY = """
abs celu cos elu erf exp expm1 gelu hardsigmoid hardswish hardtanh leaky_relu log log1p log_sigmoid mish neg reciprocal relu
relu6 rsqrt selu sigmoid silu sin softplus sqrt square tanh clamp clamp_max clamp_min
"""
_BINARY = "addcdiv addcmul lerp maximum minimum pow prelu"
_DECIDING = """
bitwise_and bitwise_or ceil eq floor fmod ge gt le logical_and logical_not logical_or lt masked_fill ne remainder round
sign trunc where
"""
_IN_PLACE = """
add_ clamp_ div_ elu_ hardsigmoid_ hardswish_ hardtanh_ leaky_relu_ mul_ relu6_ relu_ selu_ sigmoid_ silu_ sub_ tanh_
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
            _same,
        ),
        **dict.fromkeys(("zeros_like", "ones_like", "full_like"), _like),
        **dict.fromkeys(("zeros", "ones", "full", "new_zeros", "new_ones", "new_full"), _filled),
        "size": _size,
        **dict.fromkeys(("view", "reshape", "_unsafe_view"), _view),
        "flatten": _flatten,
        "expand": lambda given, what: rules.expand(
            given["self"], _sizes(given["size"], what), keep=-1
        ),
        "expand_as": lambda given, what: rules.expand(
            given["self"], [size_of(own) for own in given["other"].dims]
        ),
        **dict.fromkeys(("transpose", "t"), _transpose),
        "permute": _permute,
        "select": _select,
        "slice": _cut,
        "squeeze": _squeeze,
        "unsqueeze": lambda given, what: rules.unsqueeze(given["self"], [given["dim"]]),
        "chunk": _chunk,
        "unsafe_chunk": _chunk,
        **dict.fromkeys(("split", "split_with_sizes"), _split),
        "cat": lambda given, what: rules.concat(given["tensors"], given["dim"], what),
        "stack": _stack,
        "index_select": lambda given, what: rules.take(
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
