"""Rows of a batch go their own ways: one starts anew, one goes back, one goes on in another place.

A robot falls and its episode begins again while the others run on; a beam is dropped and its place
taken by another; a stream is corrected and replays its last words. Each is a row of the state put
in by the caller, and the next steps must be those of that row alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.contract import BATCH, TensorSpec, next_name
from edgernn.parity.drift import Drift, drifts
from edgernn.parity.feed import (
    Feed,
    Named,
    fixed_rows,
    fixed_steps,
    fresh_of,
    random_feed,
    row_of,
    taken,
)
from edgernn.parity.rollout import run
from edgernn.parity.shapes import Shapes
from edgernn.sessions.base import Session
from edgernn.sessions.draw import is_cut

_ROWS, _STEPS, _SEED = 3, 8, 67


def free_rows(session: Session, shapes: Shapes, steps: int) -> tuple[Drift, ...]:
    """Compare a batch of which one row was reset, one rewound and one moved with each row alone.

    Returns nothing of a graph that runs once, where the file takes one batch size only, and where
    no state has rows. A state that is one for all of them goes on as it is.
    """
    if session.spec.once or fixed_rows(session) is not None or not _have_rows(session):
        return ()
    unit, calls = fixed_steps(session) or 1, max(2, min(steps, _STEPS))
    lengths = (unit,) * calls
    feed = random_feed(session, batch=_ROWS, steps=2 * unit * calls, seed=_SEED + shapes.order % 7)
    states = [feed.state, *_states(session, feed, lengths)]
    later = Feed(
        _from(session, feed.inputs, unit * calls),
        feed.contexts,
        _mixed(session, start=states[0], older=states[1], now=states[-1]),
    )
    together = list(run(session, later, lengths=lengths))
    specs = {tensor.name: tensor for tensor in session.spec.outputs}
    pairs = []
    for row in range(_ROWS):
        alone = run(session, row_of(session, later, row), lengths=lengths)
        for call, single in zip(together, alone, strict=True):
            names = [name for name in single if BATCH in specs[name].axes]
            mine = {name: taken(call[name], specs[name], [row]) for name in names}
            pairs.append((mine, {name: single[name] for name in names}))
    return drifts(iter(pairs))


def _from(session: Session, inputs: Named, step: int) -> Named:
    """Return the inputs from ``step`` on; as many follow as came before."""
    if is_cut(session.spec):
        return fresh_of(session, inputs, step, step)
    return {name: array[step:] for name, array in inputs.items()}


def _have_rows(session: Session) -> bool:
    return any(BATCH in state.axes for state in session.spec.states)


def _states(session: Session, feed: Feed, lengths: Sequence[int]) -> list[dict[str, np.ndarray]]:
    return [
        {state.name: call[next_name(state.name)].copy() for state in session.spec.states}
        for call in run(session, feed, lengths=lengths)
    ]


def _mixed(session: Session, *, start: Named, older: Named, now: Named) -> dict[str, np.ndarray]:
    """Return a state whose first row is reset, whose second is rewound, and whose third is where
    the first one was.
    """

    def rows(spec: TensorSpec) -> np.ndarray:
        if BATCH not in spec.axes:
            return np.asarray(now[spec.name])
        parts = [(start, 0), (older, 1), (now, 0)]
        axis = spec.axes.index(BATCH)
        return np.concatenate(
            [taken(np.asarray(state[spec.name]), spec, [row]) for state, row in parts], axis
        )

    return {spec.name: rows(spec) for spec in session.spec.states}
