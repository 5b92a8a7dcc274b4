"""Invariances: what must not matter. How a sequence is cut, who else is in the batch, where the
state has been meanwhile.

Each measures a session against itself, so no reference is needed and every session can be asked.
Rows and lengths are those that a seed draws; see ``shapes``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from safetensors.numpy import load, save

from edgernn.contract import BATCH, TIME, TensorSpec, next_name
from edgernn.parity.drift import Drift, drifts
from edgernn.parity.feed import Feed, fixed_rows, fixed_steps, random_feed, row_of, taken, widest
from edgernn.parity.free_rows import free_rows
from edgernn.parity.reordered import LEEWAY, Reordered, parts_as_far
from edgernn.parity.rollout import MOST_PICTURES, called, run
from edgernn.parity.shapes import Shapes, fitting
from edgernn.sessions.base import Session

_SEED = 31
_ROWS, _SINGLE_STEPS = 2, 8
Invariance = Callable[[Session, Shapes, int], tuple[Drift, ...]]


@dataclass(frozen=True)
class Measured:
    """What one invariance came to: a drift per tensor, over at most ``steps`` single steps.

    ``own``: how far the reference parts from itself over the steps asked for, where that is why
    fewer were judged.
    """

    drifts: tuple[Drift, ...]
    steps: int
    own: float | None = None

    @property
    def worst(self) -> float:
        """The largest difference, by the scaled measure."""
        return max(drift.scaled for drift in self.drifts)


def measure(
    check: Invariance,
    session: Session,
    shapes: Shapes,
    steps: int,
    *,
    judge: Session | None,
    limit: float,
    half: bool,
) -> Measured:
    """Make one invariance of ``session``; where a chaotic reference parts from itself as far, over
    as many steps as it holds.

    Args:
        check: one of this module.
        session, shapes, steps: what is asked, with which rows and lengths, over how many steps.
        judge: the reference; None takes the session itself, its last bits changed.
        limit: the largest scaled difference.
        half: see ``Reordered``.
    """
    found = Measured(check(session, shapes, steps), steps)
    if not found.drifts or found.worst <= limit or session.spec.once:
        return found
    other = Reordered(judge or session, half=half)
    own = max(drift.scaled for drift in check(other, shapes, steps))
    while parts_as_far(own, found.worst) and steps > 1:
        steps //= 2
        if max(drift.scaled for drift in check(other, shapes, steps)) * LEEWAY <= limit:
            return Measured(check(session, shapes, steps), steps, own)
    return found


def chunks(session: Session, shapes: Shapes, steps: int) -> tuple[Drift, ...]:
    """Compare one call with single steps, and a long one with cuts of it: states at the end,
    outputs throughout.

    Returns nothing where the file takes one length only.
    """
    if fixed_steps(session) is not None:
        return ()
    fixed = fixed_rows(session)
    short = _compare_cuts(session, fixed or _ROWS, steps, [(1,) * steps])
    (most,) = fitting((shapes.lengths[-1],), rows=fixed or 1, widest=widest(session))
    long = most if steps >= _SINGLE_STEPS else min(most, steps)
    return short + _compare_cuts(session, fixed or 1, long, _cuts(long, shapes))


def _cuts(total: int, shapes: Shapes) -> list[tuple[int, ...]]:
    """Return two ways to cut ``total`` steps: one cut, and several."""
    random = np.random.default_rng(shapes.order)
    ways = []
    for count in (1, 4):
        places = np.unique(random.integers(0, total, count))
        ways.append(tuple(int(length) for length in np.diff([0, *places, total]) if length))
    return ways


def _compare_cuts(
    session: Session, rows: int, steps: int, cuts: Sequence[tuple[int, ...]]
) -> tuple[Drift, ...]:
    feed = random_feed(session, batch=rows, steps=steps, seed=_SEED)
    whole = _run(session, feed, lengths=(steps,))
    return drifts((whole, _run(session, feed, lengths=lengths)) for lengths in cuts)


def rows(session: Session, shapes: Shapes, steps: int) -> tuple[Drift, ...]:
    """Compare rows of a large batch with the same rows alone: the first, the last and one between.

    What has no batch is shared by all rows, and left out. Returns nothing where the file takes one
    batch size only, or gives nothing with rows.
    """
    batched = [t.name for t in session.spec.outputs if BATCH in t.axes]
    if fixed_rows(session) is not None or not batched:
        return ()
    batch, lengths = shapes.many, _row_lengths(session, shapes, steps)
    feed = random_feed(session, batch=batch, steps=sum(lengths), seed=_SEED + 2)
    chosen = (0, 1 + shapes.order % (batch - 2), batch - 1)
    together = _run(session, feed, lengths=lengths, rows=chosen)
    specs = {tensor.name: tensor for tensor in session.spec.outputs}

    def alone(index: int) -> dict[str, np.ndarray]:
        made = _run(session, row_of(session, feed, index), lengths=lengths)
        return {name: array for name, array in made.items() if name in batched}

    return drifts(
        (
            {n: taken(a, specs[n], [place]) for n, a in together.items() if n in batched},
            alone(index),
        )
        for place, index in enumerate(chosen)
    )


def _row_lengths(session: Session, shapes: Shapes, steps: int) -> tuple[int, ...]:
    if session.spec.once:
        return (1,) * min(steps, 3)  # a black, a white and another picture
    if (unit := fixed_steps(session)) is not None:
        return (unit,) * min(steps, 2 * _SINGLE_STEPS)
    singles = min(steps, _SINGLE_STEPS)
    lengths = [min(length, steps) for length in shapes.lengths[:2]]
    return fitting(
        shapes.shuffled(lengths, singles=singles),
        rows=shapes.many,
        widest=widest(session),
    )


def state_is_data(session: Session, shapes: Shapes, steps: int) -> tuple[Drift, ...]:
    """Compare an undisturbed run with one whose state is saved, loaded and forked at each step
    beside a second stream.

    A session that keeps anything to itself between calls, or writes into the arrays it was given,
    shows here. A session of an encode graph is asked for the same pictures again, with others in
    between.
    """
    lengths = _lengths(session, steps)
    batch = fixed_rows(session) or 1
    feed, other = (
        random_feed(session, batch=batch, steps=sum(lengths), seed=_SEED + i) for i in (4, 8)
    )
    undisturbed = [
        {name: array.copy() for name, array in made.items()}
        for made in run(session, feed, lengths=lengths)
    ]
    again = random_feed(session, batch=batch, steps=sum(lengths), seed=_SEED + 4)
    return drifts(
        zip(undisturbed, _among_others(session, again, other, lengths=lengths), strict=True)
    )


INVARIANCES: dict[str, Invariance] = {
    "chunks": chunks,
    "rows": rows,
    "free rows": free_rows,
    "state": state_is_data,
}


def left_out(session: Session) -> str:
    """Say why the invariance of rows says nothing of any file of this graph, if so."""
    if any(BATCH in tensor.axes for tensor in session.spec.outputs):
        return ""
    return "nothing that comes out has rows to compare"


def _among_others(
    session: Session, feed: Feed, other: Feed, *, lengths: Sequence[int]
) -> list[dict[str, np.ndarray]]:
    made, at = [], 0
    state, theirs = feed.state, other.state
    for length in lengths:
        theirs = _after(session, called(session, other, theirs, at, length))
        fork = load(save({name: np.asarray(a, order="C") for name, a in state.items()}))
        called(session, other, fork, at, length)
        made.append(called(session, feed, fork, at, length))
        state = _after(session, made[-1])
        at += length
    return made


def _after(session: Session, made: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {state.name: made[next_name(state.name)] for state in session.spec.states}


def _lengths(session: Session, steps: int) -> tuple[int, ...]:
    if session.spec.once:
        return (1,) * min(steps, MOST_PICTURES)
    return (fixed_steps(session) or 1,) * steps


def _run(
    session: Session, feed: Feed, *, lengths: Sequence[int], rows: Sequence[int] | None = None
) -> dict[str, np.ndarray]:
    """Run over ``feed``; return what has a time axis joined along it, and of everything else what
    came last.

    Of a large batch only ``rows`` are kept.
    """
    specs, made = {tensor.name: tensor for tensor in session.spec.outputs}, []
    for call in run(session, feed, lengths=lengths):
        kept = (
            {name: taken(array, specs[name], list(rows)) for name, array in call.items()}
            if rows
            else call
        )
        made.append(kept)
    joined = {
        t.name: np.concatenate([m[t.name] for m in made], axis=t.axes.index(TIME))
        for t in _timed(session)
    }
    return {**made[-1], **joined}


def _timed(session: Session) -> list[TensorSpec]:
    return [
        tensor
        for tensor in session.spec.read_outputs
        if TIME in tensor.axes and not session.spec.once
    ]
