"""How far a reference parts from itself: its own sums in another order, as every other runtime adds
them.

Two float32 runtimes add the same products in other orders, so each step differs in the last bits. A
network whose state is chaotic amplifies that without bound, and then two honest files are as far
apart as an honest and a wrong one. What tells the cases apart is the reference itself:
``Reordered`` is the same model with its last bits changed, and where it parts from the reference
about as far as a file does, the run says nothing of the file. Such a run is judged by single steps
instead, each from the reference's own state: over one step nothing has been amplified.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from edgernn.contract import BATCH, TIME, next_name
from edgernn.errors import ContractError
from edgernn.formats.promise import Tolerance
from edgernn.parity.drift import drifts
from edgernn.parity.feed import Feed, fixed_steps, random_feed, taken
from edgernn.parity.rollout import Plan, Rollout, compare, forced_pairs, plans, run
from edgernn.sessions.base import Arrays, Session, State
from edgernn.sessions.fileless import FilelessSession

FEED_SEED = 7  # of the ids and states of rollouts; what is drawn anew is their shapes
# a reference that parts from itself by a 30th of what a file does parts about as far: growth is
# exponential
ABOUT = 30
# a call is judged whole only where the reference parts from itself by at most a 10th of the
# tolerance
LEEWAY = 10
_HALF_BITS = np.float32(2**-11)  # half a unit in the last place of a float16


class Forced(FilelessSession):
    """A file each of whose steps starts from the reference's state: what it gives is its own, where
    it goes is not.

    Args:
        judge: the reference, which makes the states.
        session: the file, which makes the outputs.
    """

    runtime = "a file, led by the reference"

    def __init__(self, judge: Session, session: Session) -> None:
        narrowing, frames = session.file_contract.narrowing, session.contract.step_frames
        single = narrowing.model_copy(update={"axes": {**narrowing.axes, TIME: frames}})
        super().__init__(
            session.file_contract.model_copy(update={"narrowing": single}), judge.first_state
        )
        self._judge, self._session = judge, session

    def step(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """Return the file's outputs and the reference's next state; see ``Session.step``."""
        return self._session.step(inputs, state)[0], self._judge.step(inputs, state)[1]

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        raise ContractError("only its steps can be taken")


class Reordered(FilelessSession):
    """The model of another session, with its sums in another order: each row twice, single steps,
    states nudged by a bit.

    Args:
        inner: the session that it differs from in the last bits alone.
        half: nudge by the last bit of a float16 instead of a float32.
    """

    runtime = "the reference, its sums in another order"

    def __init__(self, inner: Session, *, half: bool = False) -> None:
        super().__init__(inner.file_contract, inner.first_state)
        self._inner, self._half, self._random = inner, half, np.random.default_rng(0)
        self._specs = {t.name: t for t in (*self.spec.inputs, *self.spec.outputs)}

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        steps, made = self._steps(feeds), list[dict[str, np.ndarray]]()
        for now in steps:
            before = {s.name: self._nudged(feeds[s.name]) for s in self.spec.states}
            made.append(self._twice({**feeds, **before, **now}))
            after = {s.name: made[-1][next_name(s.name)] for s in self.spec.states}
            feeds = {**feeds, **after}
        joined = {
            t.name: np.concatenate([m[t.name] for m in made], axis=t.axes.index(TIME))
            for t in self.spec.read_outputs
            if TIME in t.axes
        }
        return {**made[-1], **joined}

    def _steps(self, feeds: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Cut what is fresh into calls of one step, or of as many as the file takes; what has no
        time stays whole.
        """
        places = {t.name: t.axes.index(TIME) for t in self.spec.fresh_inputs if TIME in t.axes}
        if self.spec.once or not places:
            return [{}]
        frames = self.contract.step_frames * (fixed_steps(self) or 1)
        total = next(feeds[name].shape[place] for name, place in places.items())
        return [
            {
                name: np.take(feeds[name], range(at, at + frames), axis=place)
                for name, place in places.items()
            }
            for at in range(0, total, frames)
        ]

    def _twice(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run with each row twice where the batch is open; other numbers of rows choose other
        kernels.
        """
        places = {n: self._specs[n].axis(BATCH) for n in feeds}
        rows = [feeds[name].shape[place] for name, place in places.items() if place is not None]
        if self.file_contract.axis_size(BATCH) is not None or not rows:
            return self._inner._run(feeds)
        doubled = {
            name: array if (place := places[name]) is None else np.concatenate([array] * 2, place)
            for name, array in feeds.items()
        }
        made = self._inner._run(doubled)
        kept = list(range(rows[0]))
        return {name: taken(array, self._specs[name], kept) for name, array in made.items()}

    def _nudged(self, state: np.ndarray) -> np.ndarray:
        """Move every value by one last bit, up or down at random; integers and bools stay."""
        if state.dtype.kind != "f":
            return state
        away = self._random.choice(np.array([1, -1], state.dtype), state.shape)
        if self._half:
            return np.asarray(state * (1 + away * _HALF_BITS), state.dtype)
        return np.asarray(np.nextafter(state, away * np.inf), state.dtype)


def parts_as_far(own: float, found: float) -> bool:
    """Tell whether a reference that parts from itself by ``own`` explains a file that parts from it
    by ``found``.
    """
    return np.isfinite(found) and own * ABOUT >= found


def rollouts(
    judge: Session, session: Session, steps: int, *, limit: Tolerance, seed: int
) -> list[Rollout]:
    """Roll ``session`` out against ``judge`` over every plan that its file allows, with the shapes
    that ``seed`` draws.

    A chained run that misses the tolerance where the reference parts from itself about as far is
    replaced by its steps, each from the reference's state; ``Rollout.own`` is then how far the
    reference parted.
    """
    made = []
    for index, plan in enumerate(plans(session, steps, seed=seed)):
        found = compare(judge, session, plan, seed=FEED_SEED + index, forced=limit.forced)
        if not limit.forced and not found.worst.scaled <= limit.rollout:
            found = _explained(judge, session, found, seed=FEED_SEED + index, limit=limit)
        made.append(found)
    return made


def _explained(
    judge: Session, session: Session, found: Rollout, *, seed: int, limit: Tolerance
) -> Rollout:
    """Return ``found``, or the same run judged by its steps where the reference parts from itself
    about as far.
    """
    if session.spec.once or not np.isfinite(found.worst.scaled):
        return found
    other = Reordered(judge, half=limit.half)
    feed = random_feed(session, batch=found.plan.batch, steps=found.plan.steps, seed=seed)
    own = compare(judge, other, found.plan, seed=seed, feed=feed).worst.scaled
    if not parts_as_far(own, found.worst.scaled):
        return found
    return by_single_steps(judge, session, feed, found.plan, other=other, limit=limit, own=own)


def by_single_steps(
    judge: Session,
    session: Session,
    feed: Feed,
    plan: Plan,
    *,
    other: Session,
    limit: Tolerance,
    own: float,
) -> Rollout:
    """Judge each call of a run from the reference's state; one over which the reference itself
    parts, step by step.
    """
    unit = fixed_steps(session) or 1
    least = limit.rollout / LEEWAY
    lengths = tuple(_judged_lengths(judge, other, feed, plan, least=least, unit=unit))
    expected = run(judge, feed, lengths=lengths)
    found = drifts(forced_pairs(session, feed, expected, lengths=lengths))
    return Rollout(Plan(plan.batch, lengths), found, own=own)


def _judged_lengths(
    judge: Session, other: Session, feed: Feed, plan: Plan, *, least: float, unit: int
) -> Iterator[int]:
    """Yield the calls that are judged whole as they are, and the others in single steps."""
    pairs = forced_pairs(other, feed, run(judge, feed, lengths=plan.lengths), lengths=plan.lengths)
    parted = np.max([drift.scaled_curve for drift in drifts(pairs)], axis=0)  # [calls]
    for length, own in zip(plan.lengths, parted, strict=True):
        yield from (length,) if own <= least else (unit,) * (length // unit)


def chaotic_words(own: Sequence[float | None], what: str, remedy: str) -> str:
    """Say where the reference itself parts, its sums in another order, and what was made of it;
    nothing where it holds.
    """
    parted = [far for far in own if far is not None]
    if not parted:
        return ""
    return (
        f"; the state is chaotic: the reference parts from itself by {max(parted):.1e} when "
        "its sums come in another order, "
        f"so {len(parted)} {what}: {remedy}"
    )
