"""Whether a file remembers: the same calls must give the same results, whatever was asked before
and in which order.

Two sessions of one file take the same calls: one that has worked for a while, and one just opened.
The new one takes them first to last, the used one last to first, then both in turns, and the new
one once more backwards. A cached first step, a counter, a state that is kept: each call then gives
something else in one of these places. The calls differ in rows, lengths, ids and states; some start
from the first state, as every text does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edgernn.parity.drift import Drift, drifts
from edgernn.parity.feed import fixed_rows, fixed_steps, fresh_of, random_feed, widest
from edgernn.parity.rollout import stepped
from edgernn.parity.shapes import Shapes, fitting
from edgernn.sessions.base import Arrays, Session

# the same file, the same call: nothing but a kernel chosen anew may differ, in the last bits
TOLERANCE = 1e-5
_SEED = 53
_SINGLE_CALLS = 4
Results = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Call:
    """One call: what is given, and the state before it; no state for a picture to encode."""

    inputs: Arrays
    state: Arrays


def repeats(session: Session, fresh: Session, shapes: Shapes) -> tuple[Drift, ...]:
    """Compare what ``fresh`` makes of some calls with what both make of them in other orders.

    Args:
        session: has made other calls before.
        fresh: the same file, just opened; it must not have been called.
        shapes: the rows and lengths of the calls.
    """
    calls = list(calls_of(session, shapes))
    backwards = list(reversed(range(len(calls))))
    first = [_kept(fresh, call) for call in calls]
    again: list[tuple[int, Results]] = [
        (index, _kept(session, calls[index])) for index in backwards
    ]
    # in turns: one forwards, one backwards
    for index, other in zip(range(len(calls)), backwards, strict=True):
        again += [(index, _kept(session, calls[index])), (other, _kept(fresh, calls[other]))]
    again += [(index, _kept(fresh, calls[index])) for index in backwards]
    return drifts((first[index], made) for index, made in again)


def calls_of(session: Session, shapes: Shapes) -> Iterator[Call]:
    """Yield single calls of one row, then one of several rows and one of several steps where the
    file takes them.
    """
    fixed, time = fixed_rows(session), fixed_steps(session)
    sizes = [(fixed or 1, time or 1)] * _SINGLE_CALLS
    if session.spec.once:
        sizes = [(fixed or 1, 1)] * 3 + ([] if fixed else [(shapes.several, 1)])
    else:
        sizes += [] if fixed else [(shapes.several, time or 1)]
        (several,) = fitting(shapes.lengths[1:2], rows=1, widest=widest(session))
        sizes += [] if time else [(fixed or 1, several)]
    first = _first_state(session)
    for index, (rows, steps) in enumerate(sizes):
        feed = random_feed(session, batch=rows, steps=max(steps, index + 1), seed=_SEED)
        if session.spec.once:
            yield Call(fresh_of(session, feed.inputs, index), {})
            continue
        fresh = _others(session, fresh_of(session, feed.inputs, 0, steps), index // 2)
        yield Call(
            {**fresh, **feed.contexts}, first(rows) if first and index % 2 == 0 else feed.state
        )


def _others(session: Session, fresh: Results, other: int) -> Results:
    """Return other inputs for each ``other``: two calls each take the same from two states, and the
    next two take others from the same first state.
    """
    made = {}
    for spec in session.spec.fresh_inputs:
        array = fresh[spec.name]
        if spec.below is not None:
            size = session.contract.sizes[spec.below]
            made[spec.name] = ((array.astype(np.int64) + other) % size).astype(array.dtype)
        elif spec.dtype == "bool":
            made[spec.name] = array ^ bool(other % 2)
        else:
            made[spec.name] = array + array.dtype.type(other)
    return made


def _first_state(session: Session) -> Callable[[int], Arrays] | None:
    """Return what makes the first state of so many rows; None where a picture makes it."""
    return None if session.contract.starting("encode") else session.initial_state


def _kept(session: Session, call: Call) -> Results:
    """Make one call; the results are copied, as a runtime may use their memory again."""
    return {name: array.copy() for name, array in made_of(session, call).items()}


def made_of(session: Session, call: Call) -> Results:
    """Make one call; return every output by name."""
    if session.spec.once:
        return session.encoded(call.inputs)
    return stepped(session, call.inputs, call.state)
