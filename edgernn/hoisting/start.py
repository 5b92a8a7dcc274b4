"""The first value of each state of a network that takes or keeps state itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as tree

from edgernn.contract import first_line
from edgernn.errors import ContractError, UsageError
from edgernn.hoisting.any_rows import First, any_rows, widened
from edgernn.hoisting.arguments import hold_arguments
from edgernn.hoisting.attributes import Place, same
from edgernn.hoisting.begin import Begin, begin_of
from edgernn.hoisting.born import born
from edgernn.hoisting.call import Call, Started
from edgernn.hoisting.capture import capture
from edgernn.hoisting.forms import forms
from edgernn.hoisting.places import USERS_ERRORS, place_of, refuse_packing
from edgernn.hoisting.signature import check_names, needed_by
from edgernn.hoisting.stream import close
from edgernn.hoisting.unread import unread

_ROWS, _CALLS = 2, 3
_LENGTHS = (1, 3, 24, 96, 384, 1536)  # frames of a call, tried in turn
_LARGE = 1 << 28  # bytes of an example that is only tried where no other was
_MADE_FOR = (1, 4, 8, 16, 32, 64)  # rows that a network may be made for, where it does not take 2


def find_state(
    call: Call,
    begin: Begin,
    pairs: Mapping[str, str | int],
) -> tuple[Begin, First]:
    """Find and hold the state of a network; return what a run begins with, and the first value of
    each state for any rows.

    Args:
        call: of the network, nothing held yet.
        begin: what a run begins with, as far as the user said it.
        pairs: argument → where its next value comes out, as the user says it.
    """
    check_names(call, pairs)
    _check_needed(call, begin)
    begin, examples, rows = _examples(call, begin)
    started = begin(rows)
    _check_repeats(call, examples[0], started)
    hold_arguments(call, examples[0], started, pairs, begin)
    call.find_attributes(examples, started)
    unseen = unread(call, examples[0], started)
    call.held = [held for held in call.held if held not in unseen]
    if not call.held and not _same_start(call, examples, [], started):
        raise ContractError(call.grows if call.growing else call.unseen)
    if not call.held:
        return begin, lambda rows, sizes=None, own=(): []
    after = call.state_after([examples[0]] * call.settled_calls, started)
    first = _first(call, begin, after)
    values = first(rows)
    if not _same_start(call, examples, values, started):
        if call.growing:
            raise ContractError(call.grows)
        made = born(call, examples[0], values, started)
        if made is None or not _same_start(call, examples, made, started):
            raise ContractError(
                f"{', '.join(dict.fromkeys(held.where for held in call.held))}: calls from the "
                "first values that were found differ from the network's own first calls, so it "
                "starts in another way than with zeros, or keeps state where it was not seen; name "
                "the method that makes the first state with --start, and keep state in tensors"
            )
        return begin, widened(call, made, rows)
    if begin.inputs.start or any_rows(call, first):
        return begin, first
    made = [_as_wide(value, like) for value, like in zip(values, after, strict=True)]
    return begin, widened(
        call, made if _same_start(call, examples, made, started) else values, rows
    )


def _as_wide(value: Tensor, like: Tensor) -> Tensor:
    """Return a first value of one row for as many rows as the network made it anew."""
    rows_alone = value.dim() == like.dim() and all(
        a in (1, b) for a, b in zip(value.shape, like.shape, strict=True)
    )
    return value.expand_as(like).clone() if rows_alone else value


def _check_needed(call: Call, begin: Begin) -> None:
    made = (*begin.names, *begin.handed_on) if begin.method is not None else ()
    needed = [name for name in needed_by(call, begin.given) if name not in made]
    if needed:
        raise UsageError(
            f"{call.method} needs {', '.join(needed)}; give each as an input with its axes, as a "
            f"constant (--set {needed[0]}=…), or, where it is state, the method that makes the "
            "first one (--start METHOD)"
        )


def _examples(call: Call, begin: Begin) -> tuple[Begin, list[list[Tensor]], int]:
    """Return what a run begins with; inputs of calls in a row, as short and with as few rows as the
    network takes them; and how many rows they have.
    """
    inputs = begin.inputs
    first, error = _tried(call, begin)
    if first is None and begin.method is None:
        other = begin_of(call, inputs, begin.given, None, wanted=True)
        if other.method is not None:
            other.names = other.names or _missing(call, error)
            first, _ = _tried(call, other)
            begin = other
    if first is not None:
        return begin, *first
    if isinstance(error, (ContractError, UsageError)):
        raise error
    tried = inputs.draw(inputs.measured(batch=_ROWS, time=_LENGTHS[0]))
    hint = "" if inputs.has_time else "; the axis of frames, where they have one, is called time"
    raise ContractError(
        f"{call.method} runs on none of the inputs that were tried "
        f"({', '.join(str(list(t.shape)) for t in tried)} and other sizes): "
        f"{first_line(error)} "
        f"({place_of(error)}). Say their axes and sizes as the network takes them{hint}"
    ) from error


def _missing(call: Call, error: Exception) -> tuple[Any, ...]:
    """Return the attribute that a network was found not to have."""
    if isinstance(error, AttributeError) and error.obj is call.net and error.name:
        return (Place("", (error.name,)),)
    return ()


def _tried(call: Call, begin: Begin) -> tuple[tuple[list[list[Tensor]], int] | None, Exception]:
    error: Exception = ContractError("nothing was tried")
    known = False
    inputs = begin.inputs
    own = [
        t.shape[s.axes.index("batch")]
        for s in inputs.specs
        if "batch" in s.axes and (t := inputs.given.get(s.name)) is not None
    ]
    for rows in dict.fromkeys((_ROWS, *own, *_MADE_FOR)):
        for frames in _LENGTHS if inputs.has_time else (1,):
            sizes = inputs.measured(batch=rows, time=frames)
            if known and inputs.bytes_at(sizes) > _LARGE:
                continue  # of that size, the network's own error says it sooner
            made = [inputs.draw(sizes, seed=at) for at in range(_CALLS)]
            try:
                begin.look(rows)
                call.run_fresh(made, begin(rows, sizes))
            except USERS_ERRORS as raised:
                refuse_packing(raised)
                error, known = _first_of(error, raised), True
                continue
            except (ContractError, UsageError) as raised:
                return None, raised
            call.example = lambda rows, sizes=sizes: inputs.draw({**sizes, "batch": rows})
            return (made, rows), error
    return None, error


def _first_of(kept: Exception, new: Exception) -> Exception:
    return new if isinstance(kept, ContractError) else kept


def _check_repeats(call: Call, inputs: Sequence[Tensor], started: Started) -> None:
    """See that two runs give the same.

    Raises:
        ContractError: they do not: something is drawn at random.
    """
    one, other = (call.run_fresh([inputs], started)[0] for _ in range(2))
    if forms(one) == forms(other) and not same(one, other):
        capture(lambda *given: call.outputs_alone(given, started), inputs, call.net)
        raise ContractError(
            f"two runs of {call.method} on the same input differ: it draws random numbers, in eval "
            "mode too, or keeps state outside of itself; take the dropout or the noise out, let "
            "the first state be zeros, and keep state in arguments or attributes"
        )


def _first(call: Call, begin: Begin, after: Sequence[Tensor]) -> First:
    def first(
        rows: int, sizes: Mapping[str, int] | None = None, own: Sequence[Tensor] = ()
    ) -> list[Tensor]:
        started, values, seen = begin(rows, sizes, own), [], None
        for held in call.held:
            value = started.get(held.key, call.fresh.get(held.place) if held.place else None)
            leaves = tree.tree_leaves(value)
            if tree.tree_structure(value) == held.spec and None not in leaves:
                values += [
                    leaf.clone() if isinstance(leaf, Tensor) else torch.tensor(leaf)
                    for leaf in leaves
                ]
                continue
            seen = seen or call.seen_state(rows, started)
            values += [torch.zeros_like(t) for t in seen[len(values) :][: len(held.names)]]
        return values

    return first


def _same_start(
    call: Call, examples: Sequence[Sequence[Tensor]], first: Sequence[Tensor], started: Started
) -> bool:
    """Whether calls from the values taken give what the network gives from its own start."""
    count = call.settled_calls + 2
    sequence = [examples[at % len(examples)] for at in range(count)]
    state = [value.clone() for value in first]  # a network may write into what it is given
    for inputs, fresh in zip(sequence, call.run_fresh(sequence, started), strict=True):
        made = call(inputs, state)
        wanted = call.read_outputs(fresh)
        if not all(close(a, b) for a, b in zip(made, wanted, strict=False)):
            return False
        state = made[len(wanted) :]
    return True
