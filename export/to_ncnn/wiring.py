"""The last of a graph of ncnn: what is not read left out, a blob that several layers read split for
them, and results under the contract's names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgernn.sessions.ncnn.folder import UNREAD
from edgernn.sessions.ncnn.text import Layer


@dataclass(frozen=True, eq=False)
class Written:
    """A layer, and what the file of weights holds of it."""

    layer: Layer
    weights: bytes = field(default=b"", repr=False)


def wired(written: Sequence[Written], ends: Mapping[str, str]) -> tuple[tuple[Layer, ...], bytes]:
    """Return the layers that ``ends``, result → blob, need, and the file of their weights."""
    layers = _needed(written, set(ends.values()))
    readers = Counter(blob for one in layers for blob in one.layer.reads)
    readers.update(ends.values())
    names: dict[str, list[str]] = {}
    for name, blob in ends.items():
        names.setdefault(blob, []).append(name)
    left: dict[str, list[str]] = {}  # blob → the names by which the next readers read it
    made: list[Layer] = []
    for one in layers:
        reads = tuple(left[blob].pop(0) for blob in one.layer.reads)
        makes, splits = [], []
        for blob in one.layer.makes:
            own, left[blob], split = _spread(
                blob, readers[blob], names.get(blob, []), goes_in=one.layer.kind == "Input"
            )
            makes.append(own)
            splits += [] if split is None else [split]
        made += [replace(one.layer, reads=reads, makes=tuple(makes)), *splits]
    return tuple(made), b"".join(one.weights for one in layers)


def _spread(
    blob: str, count: int, names: Sequence[str], *, goes_in: bool
) -> tuple[str, list[str], Layer | None]:
    """Return what a blob is called that is read ``count`` times, of which once by each result of
    ``names``; by which names layers read it; and what splits it.
    """
    if not count and not goes_in:
        return f"{UNREAD}{blob}", [], None
    if count <= 1 and not names:
        return blob, [blob], None
    if count == 1 and not goes_in:
        return names[0], [], None
    more = [f"{blob}.{at}" for at in range(1, count - len(names) + 1)]
    return blob, more, Layer("Split", f"{blob}.split", (blob,), (*more, *names))


def _needed(written: Sequence[Written], wanted: set[str]) -> list[Written]:
    """Return the layers of which anything is read, and what goes in."""
    kept: list[Written] = []
    read = set(wanted)
    for one in reversed(written):
        if one.layer.kind == "Input" or read & set(one.layer.makes):
            read.update(one.layer.reads)
            kept.append(one)
    return kept[::-1]
