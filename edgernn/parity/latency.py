"""Whether outputs that are said to be late can be: what comes out ``latency_frames`` after a frame
must depend on that frame.

A detector that hears two frames ahead, or a filter with a delay line, answers late, and a host that
aligns its answers with what was heard goes by the number in the contract. Of a number that is too
large for what the network remembers, nothing comes through. That what comes out speaks of that very
frame, and not of another near it, is the contract's word alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.contract import TIME
from edgernn.parity.feed import Feed, fixed_rows, fixed_steps, random_feed
from edgernn.parity.rollout import run
from edgernn.sessions.base import Arrays, Session
from edgernn.sessions.draw import is_cut

MOST_CALLS = 4096  # a later answer is not waited for
_SEED = 53
_Calls = Sequence[Arrays]


def latency_problem(session: Session, late: int) -> str:
    """Feed two runs that differ in their first call alone; say so where no output tells them apart
    ``late`` frames after it. Empty where nothing is late, and of a graph that runs once.
    """
    unit = fixed_steps(session) or 1
    frames = unit * session.contract.step_frames if is_cut(session.spec) else 1  # of a call
    calls = -(-late // frames) + 1
    if not late or session.spec.once or calls > MOST_CALLS:
        return ""
    rows, steps = fixed_rows(session) or 1, calls * unit
    feed = random_feed(session, batch=rows, steps=steps, seed=_SEED)
    other = random_feed(session, batch=rows, steps=steps, seed=_SEED + 1)
    changed = Feed(_first_of(session, other, feed, frames), feed.contexts, feed.state)
    one, two = (list(run(session, each, lengths=(unit,) * calls)) for each in (feed, changed))
    if any(_told(session, one, two, name, late=late, frames=frames) for name in _read(session)):
        return ""
    return (
        f"the contract says that outputs are {late} frames late, and those at frame t do not "
        f"depend on frame t - {late}"
    )


def _read(session: Session) -> list[str]:
    return [tensor.name for tensor in session.spec.read_outputs]


def _first_of(session: Session, other: Feed, rest: Feed, frames: int) -> dict[str, np.ndarray]:
    """Return the inputs of ``rest`` with the last ``frames`` of ``other`` as its first: the first
    picture that is drawn is black in every run.
    """
    made = dict(rest.inputs)
    for spec in session.spec.fresh_inputs:
        place = spec.axis(TIME) if is_cut(session.spec) else 0
        if place is not None:
            a, b = other.inputs[spec.name], rest.inputs[spec.name]
            start, end = np.split(a, [-frames], place)[1], np.split(b, [frames], place)[1]
            made[spec.name] = np.concatenate([start, end], place)
    return made


def _told(session: Session, one: _Calls, two: _Calls, name: str, *, late: int, frames: int) -> bool:
    """Return whether an output differs at frames ``late`` to ``late + frames``."""
    (spec,) = (tensor for tensor in session.spec.read_outputs if tensor.name == name)
    if (place := spec.axis(TIME)) is None:
        return any(
            (a[name] != b[name]).any()
            for a, b in zip(one[late // frames :], two[late // frames :], strict=True)
        )
    a, b = (np.concatenate([made[name] for made in each], place) for each in (one, two))
    return bool(np.take(a != b, range(late, min(late + frames, a.shape[place])), place).any())
