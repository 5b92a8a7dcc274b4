"""The first value of each state of a network that takes or keeps state itself."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as tree

from edgernn.contract import first_line
from edgernn.errors import ContractError, UsageError
from edgernn.hoisting.arguments import find_arguments
from edgernn.hoisting.call import Call
from edgernn.hoisting.inputs import Inputs
from edgernn.hoisting.places import place_of
from edgernn.hoisting.stream import close

METHODS = (
    "start",
    "initial_state",
    "init_state",
    "init_hidden",
    "get_initial_state",
    "initialize_state",
    "zero_state",
    "begin_state",
    "initial_hidden",
)
_ROWS, _CALLS = 2, 3
_LENGTHS = (1, 3, 24, 96, 384, 1536)  # frames of a call, tried in turn
_MADE_FOR = (1, 4, 8, 16, 32, 64)  # rows that a network may be made for, where it does not take 2
_MOST_CHOICES = 256
First = Callable[[int], list[Tensor]]


def find_state(
    call: Call,
    inputs: Inputs,
    given: Mapping[str, Any],
    start: str | None,
    pairs: Mapping[str, str | int] | None = None,
) -> First:
    """Find and hold the state of a network; return what gives its first value for any rows.

    Args:
        call: of the network, nothing held yet.
        inputs: what it is fed.
        given: argument → a first value that the user gave, for one row or any.
        start: the method that makes the first value, or None to look for one.
        pairs: argument → where its next value comes out, as the user says it.
    """
    begin = _started(call, given, start)
    examples, rows = _examples(call, inputs, begin)
    starts = find_arguments(call, examples[0], begin(rows), pairs)
    known = {name: value for name, value in starts.items() if value is not None}
    call.find_attributes(examples, **known)
    if not call.held:
        return lambda rows: []
    after = call.state_after([examples[0]] * call.settled_calls, **known)
    first = _first(call, begin, after)
    if None in starts.values() or not known:
        _check_zeros(call, examples[0], first(rows), known)
    return first if _any_rows(call, first) else _widened(call, first(rows), rows)


def _examples(
    call: Call, inputs: Inputs, begin: Callable[[int], dict[str, Any]]
) -> tuple[list[list[Tensor]], int]:
    """Return inputs of calls in a row, as short and with as few rows as the network takes them, and
    how many rows they have.
    """
    errors: list[Exception] = []
    own = [
        t.shape[s.axes.index("batch")]
        for s in inputs.specs
        if "batch" in s.axes and (t := inputs.given.get(s.name)) is not None
    ]
    for rows in dict.fromkeys((_ROWS, *own, *_MADE_FOR)):
        for frames in _LENGTHS if inputs.has_time else (1,):
            sizes = inputs.measured(batch=rows, time=frames)
            made = [inputs.draw(sizes, seed=at) for at in range(_CALLS)]
            try:
                call.run_fresh(made[:1], **begin(rows))
            except (RuntimeError, IndexError, ValueError) as raised:
                errors.append(raised)
                continue
            except TypeError:  # an argument is missing, which is told of by its name
                pass
            call.example = lambda rows, sizes=sizes: inputs.draw({**sizes, "batch": rows})
            return made, rows
    tried = inputs.draw(inputs.measured(batch=_ROWS, time=_LENGTHS[0]))
    hint = "" if inputs.has_time else "; the axis of frames, where they have one, is called time"
    raise ContractError(
        f"{call.method} runs on none of the inputs that were tried "
        f"({', '.join(str(list(t.shape)) for t in tried)} and other sizes): "
        f"{first_line(errors[0])} "
        f"({place_of(errors[0])}). Say their axes and sizes as the network takes them{hint}"
    ) from errors[0]


def _started(
    call: Call, given: Mapping[str, Any], start: str | None
) -> Callable[[int], dict[str, Any]]:
    """Return what gives the first values by argument: the user's, or a method's."""
    if given:
        return lambda rows: {name: _rows_of(value, rows) for name, value in given.items()}
    parameters = inspect.signature(getattr(call.net, call.method)).parameters
    asked = [
        name
        for name, p in parameters.items()
        if p.default is p.empty
        and name not in call.inputs
        and name not in call.fixed
        and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    method = start or next(
        (n for n in METHODS if asked and callable(getattr(call.net, n, None))), None
    )
    if method is None:
        return lambda rows: {}
    if not callable(getattr(call.net, method, None)):
        raise UsageError(
            f"the network has no method {method}; --start names the one that makes the first state"
        )
    names = asked or [
        n for n, p in parameters.items() if p.default is None and n not in call.inputs
    ]

    def begin(rows: int) -> dict[str, Any]:
        maker = getattr(call.net, method)
        with torch.no_grad():
            value = maker(rows) if inspect.signature(maker).parameters else maker()
        if len(names) == 1:
            return {names[0]: value}
        return dict(zip(names, value, strict=True))

    return begin


def _rows_of(value: Any, rows: int) -> Any:
    return value(rows) if callable(value) else value


def _first(call: Call, begin: Callable[[int], dict[str, Any]], after: Sequence[Tensor]) -> First:
    def first(rows: int) -> list[Tensor]:
        values: list[Tensor] = []
        given = begin(rows)
        for held in call.held:
            place = len(values)
            value = (
                given.get(held.argument or "")
                if held.place is None
                else call._fresh.get(held.place)
            )
            leaves = tree.tree_leaves(value)
            if tree.tree_structure(value) == held.spec and None not in leaves:
                values += [
                    leaf.clone() if isinstance(leaf, Tensor) else torch.tensor(leaf)
                    for leaf in leaves
                ]
            else:
                shapes = _shapes(call, rows)[place : place + len(held.names)]
                values += [
                    torch.zeros(shape, dtype=t.dtype)
                    for shape, t in zip(shapes, after[place:], strict=False)
                ]
        return values

    return first


def _shapes(call: Call, rows: int) -> list[tuple[int, ...]]:
    return [tuple(t.shape) for t in call.seen_state(rows)]


def _check_zeros(
    call: Call, inputs: Sequence[Tensor], first: Sequence[Tensor], known: Mapping[str, Any]
) -> None:
    """See that a call from the values taken gives what the network gives from its own start."""
    fresh = [
        leaf
        for leaf in tree.tree_leaves(call._read_outputs(call.run_fresh([inputs], **known)[0]))
        if isinstance(leaf, Tensor)
    ]
    made = call(inputs, first)
    if not all(close(a, b) for a, b in zip(made, fresh, strict=False)):
        raise ContractError(
            f"{', '.join(dict.fromkeys(held.where for held in call.held))} is nothing at "
            "first, and "
            "what the network makes of that is not zeros; name the method that makes the first "
            "state with --start"
        )


def _any_rows(call: Call, first: First) -> bool:
    """Whether the network takes its own first state with other numbers of rows."""
    assert call.example is not None
    try:
        for rows in (_ROWS, _ROWS + 1):
            call(call.example(rows), first(rows))
    except (RuntimeError, IndexError, ValueError):
        return False
    return True


def _widened(call: Call, made: Sequence[Tensor], rows: int) -> First:
    """Let state that was made for a number of rows have any: find which of its axes they are, by
    calls on more rows that must give what calls on fewer do.

    Raises:
        ContractError: no axis will do.
    """
    choices = [
        [None, *(d for d, n in enumerate(t.shape) if n == rows)][::-1][: t.dim() + 1] for t in made
    ]
    for axes in itertools.islice(itertools.product(*choices), _MOST_CHOICES):

        def first(count: int, axes: Sequence[int | None] = axes) -> list[Tensor]:
            return [
                t.clone()
                if a is None
                else t.narrow(a, 0, 1)
                .expand([count if d == a else n for d, n in enumerate(t.shape)])
                .clone()
                for t, a in zip(made, axes, strict=True)
            ]

        if _any_rows(call, first) and _rows_alone(call, first, rows):
            return first
    raise ContractError(
        f"the state in {call.held[0].where} is made for {rows} rows, and with other numbers of "
        "rows the network does not run; make its state for the rows that it is given"
    )


def _rows_alone(call: Call, first: First, rows: int) -> bool:
    """Whether more rows at once give what they give apart."""
    assert call.example is not None
    several = call.example(2 * rows)
    whole = call(several, first(2 * rows))
    halves = [call([t[:rows] if t.shape[:1] == (2 * rows,) else t for t in several], first(rows))]
    return all(
        close(a.narrow(d, 0, b.shape[d]) if (d := _longer(a, b)) is not None else a, b)
        for a, b in zip(whole, halves[0], strict=True)
    )


def _longer(one: Tensor, other: Tensor) -> int | None:
    return next(
        (d for d, (a, b) in enumerate(zip(one.shape, other.shape, strict=True)) if a != b), None
    )
