"""What whole numbers and weights mean that a graph computes of the ids that ``encode`` reads: masks
of padding, the number of ids of a row, places within a row.

A sequence of ids along an axis that encode chooses has 0 after its end, and padded rows are among
what is run. So ids may be compared with 0, and with nothing else; what that gives is data, as ids
are. What is counted along such an axis, and the places along it, are no data: they may be compared
with one another, and computed with only as an index that stays within its own row. A place that is
compared with, or multiplied by, a number is right at one size alone.

Along such an axis a softmax may meet, and a sum by the weights that it gives; no other sum may, for
a sum of ones counts.

A file of one fixed length holds the places along it as a constant, ``0 … S-1``, and where rows
start as another: they mean the same there. Of sums along such an axis nothing is left to prove.

What each operator makes of them stands in ``place_rules``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from edgernn.contract import FileContract
from edgernn.parity.structure.place_rules import (
    IDS,
    PLACE,
    ROWS,
    RULES,
    WEIGHTS,
    Values,
    encodes,
    refuse,
)
from edgernn.parity.structure.sizes import ONE, Meaning, Size, SizeError, UnknownError, Value

MOVES, SHAPE = "moves", "shape"  # the words of operators that move elements, and read sizes


def mark_ids(value: Value, dtype: str | None, *, fixed: bool = False) -> Value:
    """Return an input, marked where it is ids along an axis that encode chooses; ``fixed`` where
    the file takes one size of it, its last axis.
    """
    if dtype != "int64" or value.is_state:
        return value
    if fixed and value.dims[-1] != ONE:
        return replace(value, meaning=Meaning(IDS, value.dims[-1]))
    return replace(value, meaning=Meaning(IDS)) if any(map(encodes, value.dims)) else value


def fixed_lengths(file_contract: FileContract) -> frozenset[str]:
    """Return the inputs whose last axis has one size in the file and any in the contract."""
    chosen = {*file_contract.contract.open_axes}
    return frozenset(
        tensor.name
        for tensor in file_contract.spec.inputs
        if tensor.axes and tensor.axes[-1] in chosen and file_contract.axis_size(tensor.axes[-1])
    )


def count_up(end: int | Size, what: str) -> Value:
    """Return the places along an axis, from 0 on, of its own size."""
    if not isinstance(end, Size) or len(end.dim) != 1:
        raise SizeError(f"{what} counts to {end}, expected the size of one axis")
    if end.dim != ROWS and not encodes(end.dim):
        raise SizeError(f"{what} counts to the size of an axis")
    return Value((end.dim,), meaning=Meaning(PLACE, end.dim))


def follow(
    word: str | None,
    values: Values,
    what: str,
    otherwise: Callable[[], Any],
    axes: Sequence[int] = (),
) -> Any:
    """Return what an operator makes: by the rules here where its inputs mean something, else what
    ``otherwise`` gives.

    Args:
        word: what the operator does, as ``RULES``, ``MOVES`` and ``SHAPE`` name it; None of others.
        values: what goes in; None where an input is left out.
        what: the operator, in words.
        otherwise: the rule of shapes.
        axes: along which it goes, of those that go along any.

    Raises:
        SizeError: a place meets a number.
        UnknownError: counts or places are used as data.
    """
    meant = [value.meaning for value in values if value is not None and value.meaning is not None]
    if word in RULES:
        found = RULES[word](values, what, axes)
        if found is not None:
            return found
    if word == MOVES and values and values[0] is not None:
        moved, meaning = otherwise(), values[0].meaning
        own = meaning is not None and meaning.kind != WEIGHTS
        return replace(moved, meaning=meaning) if own else moved
    if word != SHAPE:
        for meaning in meant:
            refuse(meaning, what)
    return otherwise()


def refuse_output(name: str, value: Value) -> None:
    """Raise UnknownError where an output is a count or a place."""
    if value.meaning is not None:
        refuse(value.meaning, f"the output {name}")


def refuse_written(value: Value, what: str) -> None:
    """Raise UnknownError where an operator writes into what means something."""
    if value.meaning is not None:
        raise UnknownError(
            f"{what} writes into {value.meaning.kind}, so nothing is proved of what it is then"
        )
