"""Chained rollouts: two sessions fed the same inputs, each on its own state, compared at every
step.

One call proves nothing of a recurrent network: errors accumulate, and a mis-wired state shows only
when it is fed back. So every rollout starts from non-zero states that differ from one another, and
compares outputs and states alike. An encode graph has no state: its rollout is a row of sequences
(pictures), one a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.contract import next_name
from edgernn.parity.drift import Drift, by_layer, drifts
from edgernn.parity.feed import Feed, fixed_rows, fixed_steps, fresh_of, random_feed, widest
from edgernn.parity.shapes import draw, fitting
from edgernn.sessions.base import Arrays, Session

MOST_PICTURES = 16  # of one rollout of an encode graph: errors do not accumulate over pictures
_ROW_STEPS, _MANY_STEPS = 480, 16  # of several rows: rows times steps; of many rows: steps


@dataclass(frozen=True)
class Plan:
    """The shape of one rollout: rows, and the T of each call, one after the other."""

    batch: int
    lengths: tuple[int, ...]

    @property
    def steps(self) -> int:
        """All time steps together."""
        return sum(self.lengths)


@dataclass(frozen=True)
class Rollout:
    """The outcome of one plan: a drift per output and state.

    ``own``: how far the reference parts from itself in this run, where that is why it was judged
    step by step; see ``reordered``.
    """

    plan: Plan
    drifts: tuple[Drift, ...]
    own: float | None = None

    @property
    def worst(self) -> Drift:
        """The tensor that went furthest, by the scaled measure."""
        return max(self.drifts, key=lambda drift: drift.scaled)


def plans(session: Session, steps: int, *, seed: int) -> tuple[Plan, ...]:
    """Return the rollouts that ``session``'s file allows, with the shapes that ``seed`` draws; see
    ``shapes``.

    Single steps of one row, ``steps`` of them; where time is open one row over calls of every
    length; where the batch is open several rows over fewer steps and many over fewer still, so that
    the work stays about the same.
    """
    drawn, fixed, unit, wide = (
        draw(seed),
        fixed_rows(session),
        fixed_steps(session),
        widest(session),
    )
    if session.spec.once:
        counts = (
            {fixed: steps} if fixed else {1: steps, drawn.several: min(steps, 4), drawn.many: 1}
        )
        return tuple(
            Plan(rows, (1,) * max(1, min(MOST_PICTURES, count))) for rows, count in counts.items()
        )
    one_by_one, rows = (unit or 1,) * -(-steps // (unit or 1)), fixed or 1
    made = [Plan(rows, one_by_one)]
    if unit is None:
        made.append(Plan(rows, fitting(drawn.shuffled(drawn.lengths), rows=rows, widest=wide)))
    if fixed is None:
        several = one_by_one[: max(1, _ROW_STEPS // drawn.several)]
        many: tuple[int, ...] = (unit or 1,) * _MANY_STEPS
        if unit is None:
            several, many = (drawn.lengths[2], *several), drawn.shuffled(drawn.lengths[:2])
        for count, lengths in ((drawn.several, several), (drawn.many, many)):
            shorter = fitting(lengths, rows=count, widest=wide) if unit is None else lengths
            made.append(Plan(count, shorter))
    return tuple(made)


def compare(
    reference: Session,
    candidate: Session,
    plan: Plan,
    *,
    seed: int,
    forced: bool = False,
    feed: Feed | None = None,
) -> Rollout:
    """Run both sessions over ``plan`` from the same start, each feeding back its own state.

    ``forced`` starts each call of the candidate from the reference's state, and measures relative
    errors. ``feed`` is what goes in; without it ``seed`` draws what the candidate takes.
    """
    feed = feed or random_feed(candidate, batch=plan.batch, steps=plan.steps, seed=seed)
    expected = run(reference, feed, lengths=plan.lengths)
    if not forced:
        return Rollout(
            plan, drifts(zip(expected, run(candidate, feed, lengths=plan.lengths), strict=True))
        )
    return Rollout(
        plan, drifts(forced_pairs(candidate, feed, expected, lengths=plan.lengths), relative=True)
    )


def forced_pairs(
    candidate: Session,
    feed: Feed,
    expected: Iterable[dict[str, np.ndarray]],
    *,
    lengths: Sequence[int],
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Yield what was expected of each call and what ``candidate`` makes of it, from the state
    expected before the call.

    A state with layers is compared layer by layer: an error in one of three would be small in all
    of them together.
    """
    states, at, state = candidate.spec.states, 0, feed.state
    for wanted, length in zip(expected, lengths, strict=True):
        made = called(candidate, feed, state, at, length)
        yield by_layer(wanted, states), by_layer(made, states)
        at += length
        state = {spec.name: wanted[next_name(spec.name)] for spec in states}


def run(session: Session, feed: Feed, *, lengths: Sequence[int]) -> Iterator[dict[str, np.ndarray]]:
    """Run the graph of ``session`` over ``feed``, in calls of so many steps; yield every output by
    name.
    """
    state, at = feed.state, 0
    for length in lengths:
        made = called(session, feed, state, at, length)
        state = {spec.name: made[next_name(spec.name)] for spec in session.spec.states}
        at += length
        yield made


def called(
    session: Session, feed: Feed, state: Arrays, at: int, length: int
) -> dict[str, np.ndarray]:
    """Make the call of ``length`` steps that begins at step ``at``; return every output by name."""
    fresh = fresh_of(session, feed.inputs, at, length)
    if session.spec.once:
        return session.encoded(fresh)
    return stepped(session, {**fresh, **feed.contexts}, state)


def stepped(session: Session, inputs: Arrays, state: Arrays) -> dict[str, np.ndarray]:
    """Return every output of a step graph by name, next states among them."""
    outputs, after = session.step(inputs, state)
    return {**outputs, **{next_name(name): array for name, array in after.items()}}
