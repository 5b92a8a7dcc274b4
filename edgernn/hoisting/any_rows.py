"""State for any number of rows: whether the network takes it, and which axes hold rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edgernn.errors import ContractError
from edgernn.hoisting.call import Call
from edgernn.hoisting.places import USERS_ERRORS
from edgernn.hoisting.stream import close

_ROWS = 2
_MOST_CHOICES = 256
First = Callable[..., list[Tensor]]  # (rows, sizes of open axes, the start method's own inputs)


def any_rows(call: Call, first: First) -> bool:
    """Whether the network takes its own first state with other numbers of rows."""
    assert call.example is not None
    try:
        for rows in (_ROWS, _ROWS + 1):
            state = first(rows)
            after = call(call.example(rows), state)[-len(state) :]
            if any(a.shape != b.shape for a, b in zip(after, state, strict=True)):
                return False  # it made itself anew
    except (*USERS_ERRORS, ContractError):
        return False
    return True


def widened(call: Call, made: Sequence[Tensor], rows: int) -> First:
    """Let state that was made for a number of rows have any: find which of its axes they are, by
    calls on more rows that must give what calls on fewer do.

    Raises:
        ContractError: no axis will do, or rows begin with values of their own.
    """
    choices = [
        [None, *(d for d, n in enumerate(t.shape) if n == rows and _alike(t, d))][::-1]
        for t in made
    ]
    for axes in itertools.islice(itertools.product(*choices), _MOST_CHOICES):

        def first(count: int, *rest: object, axes: Sequence[int | None] = axes) -> list[Tensor]:
            return [
                t.clone()
                if a is None
                else t.narrow(a, 0, 1)
                .expand([count if d == a else n for d, n in enumerate(t.shape)])
                .clone()
                for t, a in zip(made, axes, strict=True)
            ]

        if any_rows(call, first) and _rows_alone(call, first, rows):
            return first
    own = any(n == rows and not _alike(t, d) for t in made for d, n in enumerate(t.shape))
    differ = ", or the same for each of them" if own else ""
    raise ContractError(
        f"the state in {call.held[0].where} is made for {rows} rows, and with other numbers of "
        f"rows the network does not run; make its state for the rows that it is given{differ}"
    )


def _alike(tensor: Tensor, axis: int) -> bool:
    """Whether every row along ``axis`` is the first."""
    return torch.equal(tensor, tensor.narrow(axis, 0, 1).expand_as(tensor))


def _rows_alone(call: Call, first: First, rows: int) -> bool:
    """Whether more rows at once give what they give apart."""
    assert call.example is not None
    several = call.example(2 * rows)
    fewer = [_cut(a, b) for a, b in zip(several, call.example(rows), strict=True)]
    whole, half = call(several, first(2 * rows)), call(fewer, first(rows))
    return all(close(_cut(a, b), b) for a, b in zip(whole, half, strict=True))


def _cut(longer: Tensor, like: Tensor) -> Tensor:
    """Return as many of the first rows as ``like`` has."""
    dim = _longer(longer, like)
    return longer if dim is None else longer.narrow(dim, 0, like.shape[dim])


def _longer(one: Tensor, other: Tensor) -> int | None:
    return next(
        (d for d, (a, b) in enumerate(zip(one.shape, other.shape, strict=True)) if a != b), None
    )
