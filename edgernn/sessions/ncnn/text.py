"""The text of an ncnn graph, the ``.param`` file: its layers as they stand there.

    7767517
    2 2
    Input      x     0 1 x 0=8
    TanH       tanh  1 1 x y

A line is a layer: its kind, its name, how many blobs it reads and makes, their names, and numbers
by key. A key of -23300 and below is that of a list, which begins with its length: -23309 is list 9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgernn.errors import ContractError

MAGIC = "7767517"
FIRST_LIST = -23300  # the key of a list is this minus its number
MOST_BYTES = 1 << 24
MOST_LAYERS = 1 << 16
_LARGEST = 1 << 31  # of a whole number, which the runtime keeps in 32 bits
_NAME = re.compile(r"[!-~]{1,255}")
_COUNT = re.compile(r"\d{1,5}")
_WHOLE = re.compile(r"-?\d{1,10}")
_DECIMAL = re.compile(r"-?\d{1,10}(\.\d{0,20})?([eE][+-]?\d{1,3})?")
Number = int | float
Given = Number | tuple[Number, ...]


@dataclass(frozen=True)
class Layer:
    """One layer: its kind, its name, the blobs that it reads and makes, and its numbers by key."""

    kind: str
    name: str
    reads: tuple[str, ...]
    makes: tuple[str, ...]
    numbers: Mapping[int, Given] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """The layer in words."""
        return f"{self.kind} ({self.name})"

    def number(self, key: int, default: Number = 0) -> Number:
        """Return a number; raise ContractError where it is a list."""
        found = self.numbers.get(key, default)
        if isinstance(found, tuple):
            raise ContractError(f"{self.what} has a list as its number {key}")
        return found

    def whole(self, key: int, default: int = 0) -> int:
        """Return a whole number; raise ContractError where it is none."""
        found = self.number(key, default)
        if not isinstance(found, int):
            raise ContractError(f"{self.what} has {found} as its number {key}, expected an integer")
        return found

    def wholes(self, key: int) -> tuple[int, ...]:
        """Return list ``key`` of whole numbers; raise ContractError where it is none."""
        found = self.numbers.get(FIRST_LIST - key, ())
        if not isinstance(found, tuple) or not all(isinstance(one, int) for one in found):
            raise ContractError(f"{self.what} has {found} as its list {key}, expected integers")
        return tuple(int(one) for one in found)


def text_of(layers: tuple[Layer, ...]) -> str:
    """Return the text of a graph."""
    blobs = sum(len(layer.makes) for layer in layers)
    return "\n".join([MAGIC, f"{len(layers)} {blobs}", *map(_line, layers), ""])


def read_text(content: bytes, *, source: str) -> tuple[Layer, ...]:
    """Return the layers of a text.

    Raises:
        ContractError: it is no text of ncnn, or damaged: a count, a name or a number is wrong, or a
            blob is read before it is made, by two layers, or made twice.
    """
    lines = content.decode("ascii", errors="replace").split("\n")
    if lines[0].strip() != MAGIC or len(lines) < 3:
        raise ContractError(f"{source} begins with {lines[0][:20]!r}, expected {MAGIC}")
    rows = [line for line in lines[2:] if line.strip()]
    if len(rows) > MOST_LAYERS:
        raise ContractError(f"{source} has {len(rows)} layers, expected at most {MOST_LAYERS}")
    layers = tuple(_layer(row, f"{source}, layer {at}") for at, row in enumerate(rows, 1))
    blobs = sum(len(layer.makes) for layer in layers)
    counted = f"{len(layers)} {blobs}"
    if lines[1].split() != counted.split():
        raise ContractError(f"{source} says {lines[1][:40]!r} layers and blobs, it has {counted}")
    _refuse_loose(layers, source)
    return layers


def _refuse_loose(layers: tuple[Layer, ...], source: str) -> None:
    """Raise ContractError for a blob that no layer made before, that is read twice, or made
    twice.
    """
    made: set[str] = set()
    read: set[str] = set()
    for layer in layers:
        for name in layer.reads:
            if name not in made or name in read:
                why = "is read twice" if name in read else "is read before it is made"
                raise ContractError(f"{source}: {layer.what}: the blob {name} {why}")
            read.add(name)
        for name in layer.makes:
            if name in made:
                raise ContractError(f"{source}: {layer.what}: the blob {name} is made twice")
            made.add(name)


def _line(layer: Layer) -> str:
    numbers = [f"{key}={_shown(value)}" for key, value in layer.numbers.items()]
    counts = (str(len(layer.reads)), str(len(layer.makes)))
    head = f"{layer.kind:<22} {layer.name:<22}"
    return " ".join([head, *counts, *layer.reads, *layer.makes, *numbers])


def _shown(value: Given) -> str:
    if isinstance(value, tuple):
        return ",".join([str(len(value)), *map(_shown, value)])
    return str(value) if isinstance(value, int) else f"{value:.9e}"


def _layer(row: str, source: str) -> Layer:
    words = row.split()
    if len(words) < 4 or not all(map(_COUNT.fullmatch, words[2:4])):
        raise ContractError(f"{source} is {row[:60]!r}, expected a kind, a name and two counts")
    count, more = int(words[2]), int(words[3])
    blobs = words[4 : 4 + count + more]
    if len(blobs) != count + more or not all(map(_NAME.fullmatch, (*words[:2], *blobs))):
        raise ContractError(f"{source} is {row[:60]!r}, expected {count} and {more} names of blobs")
    numbers: dict[int, Given] = {}
    for word in words[4 + count + more :]:
        key, value = _number(word, source)
        if key in numbers:
            raise ContractError(f"{source} has the number {key} twice")
        numbers[key] = value
    return Layer(words[0], words[1], tuple(blobs[:count]), tuple(blobs[count:]), numbers)


def _number(word: str, source: str) -> tuple[int, Given]:
    key, _, value = word.partition("=")
    if _WHOLE.fullmatch(key) and abs(int(key)) < _LARGEST:
        if int(key) > FIRST_LIST:
            return int(key), _read(value, source)
        count, *parts = value.split(",")
        if _WHOLE.fullmatch(count) and int(count) == len(parts):
            return int(key), tuple(_read(part, source) for part in parts)
    raise ContractError(f"{source} has {word[:40]!r}, expected a key and its numbers")


def _read(text: str, source: str) -> Number:
    if _WHOLE.fullmatch(text) and abs(int(text)) < _LARGEST:
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    raise ContractError(f"{source} has {text[:40]!r}, expected a number")
