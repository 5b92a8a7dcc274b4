"""What a graph of ncnn is made with: values, the layers that make them, and their weights.

A blob has the axes of its tensor but for those of size 1, so what only adds or drops such an axis
is no layer. Where a layer needs one, as a product or a convolution, the blob is given it there,
which copies nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from edgernn.errors import ContractError
from edgernn.export.to_ncnn.integers import rounded_rows
from edgernn.export.to_ncnn.wiring import Written, wired
from edgernn.sessions.ncnn.fitting import EXACT, NO_HALF_FLOATS, Dims
from edgernn.sessions.ncnn.folder import squeezed
from edgernn.sessions.ncnn.shapes import MOST_AXES, shapes_of
from edgernn.sessions.ncnn.text import FIRST_LIST, Given, Layer
from edgernn.sessions.ncnn.weights import stored

_FLOAT32 = {EXACT: NO_HALF_FLOATS}
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the ONNX graph: its whole shape, and its blob, or its numbers where it is
    constant.
    """

    shape: Shape
    blob: str = ""
    array: np.ndarray | None = None

    @property
    def dims(self) -> Dims:
        """The axes that its blob has."""
        return squeezed(self.shape)

    def axis(self, axis: int) -> int | None:
        """Return the place of an axis of the tensor in the blob; None for one of size 1."""
        at = axis % len(self.shape)
        if self.shape[at] == 1:
            return None
        return sum(size != 1 for size in self.shape[:at])


class Builder:
    """The layers so far, and the value of every name of the ONNX graph.

    Args:
        precision: how matrices are stored.
        uses: name → how often the ONNX graph reads it.
    """

    def __init__(self, precision: str, uses: Mapping[str, int]) -> None:
        self.precision, self.uses = precision, uses
        self.values: dict[str, Value] = {}
        self.layers: list[Written] = []
        self.dims: dict[str, Dims] = {}
        self._names: Counter[str] = Counter()
        self._seen: dict[tuple[str, Dims], str] = {}

    def add(
        self,
        kind: str,
        reads: Sequence[str],
        numbers: Mapping[int, Given] | None = None,
        *,
        name: str = "",
        makes: int = 1,
        weights: bytes = b"",
    ) -> list[str]:
        """Add a layer; return its blobs."""
        blobs = tuple(f"b{len(self.dims) + at}" for at in range(makes))
        mask = (
            _FLOAT32 if self.precision == "float32" and kind not in ("Input", "MemoryData") else {}
        )
        own = {**(numbers or {}), **mask}
        layer = Layer(kind, self._called(name or kind.lower()), tuple(reads), blobs, own)
        made = shapes_of(layer, [self.dims[blob] for blob in reads])
        self.dims.update(zip(blobs, made, strict=True))
        self.layers.append(Written(layer, weights))
        return list(blobs)

    def one(
        self,
        kind: str,
        reads: Sequence[str],
        numbers: Mapping[int, Given] | None = None,
        *,
        name: str = "",
        weights: bytes = b"",
    ) -> str:
        """Add a layer with one result; return its blob."""
        return self.add(kind, reads, numbers, name=name, weights=weights)[0]

    def input(self, name: str, shape: Shape) -> None:
        """Add what goes in, under its own name."""
        dims = self.fitting(squeezed(shape), name)
        self.layers.append(Written(Layer("Input", name, (), (name,), sizes(dims))))
        self.dims[name] = dims
        self.values[name] = Value(shape, name)

    def fitting(self, dims: Dims, what: str) -> Dims:
        """Return ``dims``; raise ContractError where a blob has not so many axes."""
        if len(dims) > MOST_AXES or prod(dims) < 1:
            raise ContractError(
                f"ncnn carries {MOST_AXES} axes beside those of size 1, and {what} is "
                f"{list(dims)}; leave ncnn out"
            )
        return dims

    def blob(self, value: Value, dims: Dims | None = None) -> str:
        """Return the blob of a value, with the axes ``dims`` where its own are others."""
        wanted = value.dims if dims is None else dims
        if value.array is not None:
            return self._constant(value.array, wanted)
        self.fitting(wanted, value.blob)
        return self.reshaped(value.blob, wanted)

    def reshaped(self, blob: str, dims: Dims) -> str:
        """Return ``blob`` with the axes ``dims``."""
        if self.dims[blob] == dims:
            return blob
        if (blob, dims) not in self._seen:
            self._seen[blob, dims] = self.one("Reshape", [blob], sizes(dims))
        return self._seen[blob, dims]

    def value(self, blob: str, shape: Shape) -> Value:
        """Return the value of a blob, which is of ``shape`` in the ONNX graph."""
        if prod(self.dims[blob]) != prod(shape):
            raise ContractError(f"{blob} has axes {list(self.dims[blob])}, expected {list(shape)}")
        return Value(shape, blob)

    def linear(self, x: Value, matrix: np.ndarray, bias: np.ndarray | None, *, name: str) -> Value:
        """Add ``x [..., K] matrix [N, K]ᵀ + bias [N]``."""
        shape = (*x.shape[:-1], matrix.shape[0])
        many, depth = prod(x.shape[:-1]), x.shape[-1]
        if self.precision == "int8":
            return self._in_integers(x, matrix, bias, name=name, shape=shape)
        dims = (many, depth) if many > 1 else (depth,)
        numbers = {0: matrix.shape[0], 1: int(bias is not None), 2: int(matrix.size)}
        content = self.matrix(matrix) + (b"" if bias is None else raw(bias))
        blob = self.one("InnerProduct", [self.blob(x, dims)], numbers, name=name, weights=content)
        return self.value(blob, shape)

    def with_bias(self, value: Value, bias: np.ndarray, *, uses: int) -> str | None:
        """Give the product that made ``value`` a bias; return its blob, None where there is no such
        product, or something else reads it.
        """
        for at, one in enumerate(self.layers):
            if one.layer.makes != (value.blob,):
                continue
            numbers = one.layer.numbers
            alone = one.layer.kind == "InnerProduct" and not numbers[1] and uses == 1
            if not alone or squeezed(bias.shape) != (numbers[0],) or bias.size != bias.shape[-1]:
                return None
            layer = replace(one.layer, numbers={**numbers, 1: 1})
            self.layers[at] = Written(layer, one.weights + raw(bias))
            return value.blob
        return None

    def _in_integers(
        self,
        x: Value,
        matrix: np.ndarray,
        bias: np.ndarray | None,
        *,
        name: str,
        shape: Shape,
    ) -> Value:
        """Add a product with a matrix in 8 bits, each row with a scale of its own: the runtime has
        one for all, so that each row is stretched to it and its result multiplied back.
        """
        (rows, depth), many = matrix.shape, prod(x.shape[:-1])
        integers, scales = rounded_rows(matrix)
        numbers = {2: 0, 3: 1, 4: 0, 5: 1, 6: 1, 7: 0, 8: rows, 9: depth, 10: -1, 18: 2}
        content = b"".join(stored(integers, dtype="int8")) + raw(np.array([127.0]))
        blob = self.one("Gemm", [self.blob(x, (many, depth))], numbers, name=name, weights=content)
        dims = (many, rows) if many > 1 else (rows,)
        spread = (1, rows) if many > 1 else (rows,)
        own = self.blob(Value((many, rows), blob), dims)
        own = self.one("BinaryOp", [own, self._constant(scales, spread)], {0: 2})
        if bias is not None:
            own = self.one("BinaryOp", [own, self._constant(bias, spread)], {0: 0})
        return self.value(own, shape)

    def matrix(self, array: np.ndarray) -> bytes:
        """Return a matrix as the precision stores it."""
        if not np.isfinite(array).all():
            raise ContractError("a weight holds numbers that are not finite; train or import again")
        half = self.precision == "float16"
        if half and np.abs(array).max(initial=0) > np.finfo(np.float16).max:
            raise ContractError("a weight is too large for float16; export in float32")
        return b"".join(stored(array, dtype="float16" if half else "float32"))

    def _constant(self, array: np.ndarray, dims: Dims) -> str:
        self.fitting(dims, "a constant")
        if array.dtype.kind not in "fiub":
            raise ContractError(f"ncnn has no constant of {array.dtype}; leave ncnn out")
        return self.one("MemoryData", [], sizes(dims), weights=raw(array))

    def finish(self, outputs: Mapping[str, Value]) -> tuple[tuple[Layer, ...], bytes]:
        """Return the layers and their weights, results under the names of ``outputs``."""
        return wired(self.layers, {name: self.blob(value) for name, value in outputs.items()})

    def _called(self, name: str) -> str:
        """Return a name that no layer has yet."""
        self._names[name] += 1
        count = self._names[name]
        return name if count == 1 else f"{name}_{count}"


def sizes(dims: Dims) -> dict[int, int]:
    """Return axes as a layer says them: width, height, channels."""
    return dict(enumerate(reversed(dims)))


def listed(number: int, *values: int) -> dict[int, Given]:
    """Return list ``number`` of a layer."""
    return {FIRST_LIST - number: tuple(values)}


def raw(array: np.ndarray) -> bytes:
    """Return numbers without a tag."""
    return b"".join(stored(array, dtype=None))
