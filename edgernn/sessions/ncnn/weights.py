"""What lies in the ``.bin`` file of an ncnn graph: for each layer what it reads of it, in order.

A matrix begins with four bytes that say what it is stored as, and is filled up to four bytes; a
bias, a scale or a constant is float32 without them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from edgernn.bundle.stored_weights import FROM_STATE, OTHERS, StoredWeight
from edgernn.errors import ContractError
from edgernn.sessions.ncnn.products import GATES
from edgernn.sessions.ncnn.text import Layer

TAGS = {0x00000000: "float32", 0x01306B47: "float16", 0x000D4B38: "int8"}
_BYTES = {"float32": 4, "float16": 2, "int8": 1}
_NUMPY = {"float32": "<f4", "float16": "<f2", "int8": "<i1"}


@dataclass(frozen=True)
class Piece:
    """What a layer reads of the file next: a matrix of a ``shape``, which is tagged as what it is
    stored as, or so many numbers; ``part`` names it where a layer has several.
    """

    shape: tuple[int, ...]
    tagged: bool
    part: str = ""

    @property
    def count(self) -> int:
        """How many values it has."""
        return prod(self.shape)


@dataclass(frozen=True)
class Held:
    """A piece in the file: of which layer, what it is stored as, and where its values begin."""

    layer: Layer
    piece: Piece
    dtype: str
    start: int

    @property
    def is_matrix(self) -> bool:
        """Whether it is a matrix, a table or a kernel, and no bias."""
        return len(self.piece.shape) > 1

    @property
    def name(self) -> str:
        """The layer of the model that it is of, and its part."""
        return ".".join(filter(None, (self.layer.name, self.piece.part)))

    @property
    def size(self) -> int:
        """What its values take, filled up to four bytes."""
        return _filled(self.piece.count * _BYTES[self.dtype])

    def values(self, content: bytes) -> np.ndarray:
        """Return its values, as they are stored."""
        found = np.frombuffer(content, _NUMPY[self.dtype], self.piece.count, self.start)
        return found.reshape(self.piece.shape)


def pieces_of(layer: Layer) -> list[Piece]:
    """Return what a layer reads of the file, in order."""
    reading = _PIECES.get(layer.kind)
    return [] if reading is None else reading(layer)


def _constant(layer: Layer) -> list[Piece]:
    return [_numbers(prod(layer.whole(key) or 1 for key in (0, 1, 2)))]


def _table(layer: Layer) -> list[Piece]:
    scale = [_numbers(1)] if layer.whole(18) else []
    return [Piece((layer.whole(1), layer.whole(0)), True), *scale]


def _integers(layer: Layer) -> list[Piece]:
    return [Piece((layer.whole(8), layer.whole(9)), True), _numbers(1)]


def _scale_and_bias(layer: Layer) -> list[Piece]:
    return [_numbers(layer.whole(0))] * 2 if layer.whole(2, 1) else []


def _product(layer: Layer) -> list[Piece]:
    rows = layer.whole(0)
    matrix = Piece((rows, layer.whole(2) // max(rows, 1)), True)
    return [matrix, *([_numbers(rows)] if layer.whole(1) else [])]


def _kernel(layer: Layer) -> list[Piece]:
    rows, high, wide = layer.whole(0), layer.whole(11), layer.whole(1)
    depth = layer.whole(6) // max(rows * high * wide, 1)
    bias = [_numbers(rows)] if layer.whole(5) else []
    return [Piece((rows, depth, high, wide), True), *bias]


def _recurrent(layer: Layer) -> list[Piece]:
    """The matrices of input and state, and between them a bias of four rows."""
    hidden, gates = layer.whole(0), GATES[layer.kind]
    width = layer.whole(1) // max(gates * hidden, 1)
    return [
        Piece((gates * hidden, width), True, "from_input"),
        Piece((4 * hidden,), True),
        Piece((gates * hidden, hidden), True, "from_hidden"),
    ]


_PIECES: dict[str, Callable[[Layer], list[Piece]]] = {
    "MemoryData": _constant,
    "Embed": _table,
    "Gemm": _integers,
    "LayerNorm": _scale_and_bias,
    "InnerProduct": _product,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "Convolution": _kernel,
    "ConvolutionDepthWise": _kernel,
}


def read_weights(layers: Sequence[Layer], content: bytes, *, source: str) -> tuple[Held, ...]:
    """Return where everything lies in ``content``.

    Raises:
        ContractError: it is shorter or longer than the layers say, or a matrix is stored in no way
            that edgernn writes.
    """
    held: list[Held] = []
    at = 0
    for layer in layers:
        for piece in pieces_of(layer):
            one = _held(layer, piece, content, at, source=source)
            at = one.start + one.size
            if at > len(content):
                raise _short(source, layer, len(content))
            held.append(one)
    if at != len(content):
        raise ContractError(
            f"{source} has {len(content)} bytes, its layers need {at}; export it again"
        )
    return tuple(held)


def _held(layer: Layer, piece: Piece, content: bytes, at: int, *, source: str) -> Held:
    """Return where a piece lies that begins at ``at``."""
    if not piece.tagged:
        return Held(layer, piece, "float32", at)
    if at + 4 > len(content):
        raise _short(source, layer, len(content))
    (tag,) = struct.unpack_from("<I", content, at)
    if tag not in TAGS:
        raise ContractError(
            f"{source}: {layer.what} is stored as 0x{tag:08x}, expected float32, float16 or int8; "
            "export it again"
        )
    _refuse_integers(layer, TAGS[tag], source)
    return Held(layer, piece, TAGS[tag], at + 4)


def _refuse_integers(layer: Layer, dtype: str, source: str) -> None:
    """Raise ContractError where a layer says integers and the file has floats, or the other way
    about: the runtime would take the bytes for the other.
    """
    wanted = layer.kind in ("Embed", "Gemm") and bool(layer.whole(18))
    if (dtype == "int8") != wanted:
        raise ContractError(
            f"{source}: {layer.what} is stored as {dtype}, expected "
            f"{'int8' if wanted else 'float32 or float16'}; export it again"
        )


def weight_table(held: Sequence[Held]) -> tuple[StoredWeight, ...]:
    """Return every matrix, table and kernel, and what is left as one last entry."""
    found, rest = [], 0
    for one in held:
        if not one.is_matrix:
            rest += one.size
            continue
        shape, name = one.piece.shape, one.name
        rows = shape[0] if one.layer.kind == "Embed" else 1
        found.append(
            StoredWeight(
                name=name,
                shape=shape,
                dtype=one.dtype,
                float32_bytes=one.piece.count * 4,
                bytes=one.size,
                touched_bytes=one.size // rows,
                recurrent=name.rpartition(".")[2] in FROM_STATE,
                block_size=shape[-1] if one.dtype == "int8" else 0,
            )
        )
    others = StoredWeight(OTHERS, (), "float32", rest, rest, rest)
    return (*found, others) if rest else tuple(found)


def stored(array: np.ndarray, *, dtype: str | None) -> Iterator[bytes]:
    """Yield the bytes of an array: as a matrix of ``dtype``, or as float32 without a tag."""
    if dtype is None:
        yield array.astype("<f4").tobytes()
        return
    tag = next(tag for tag, name in TAGS.items() if name == dtype)
    values = array.astype(_NUMPY[dtype]).tobytes()
    yield struct.pack("<I", tag)
    yield values + bytes(_filled(len(values)) - len(values))


def _numbers(count: int) -> Piece:
    return Piece((count,), False)


def _filled(size: int) -> int:
    return -(-size // 4) * 4


def _short(source: str, layer: Layer, size: int) -> ContractError:
    return ContractError(
        f"{source} has {size} bytes, and ends in what {layer.what} needs; export it again"
    )
