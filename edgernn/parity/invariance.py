"""Invariances: what must not matter. How a sequence is cut, who else is in the batch, where the state has been meanwhile.

Each measures a session against itself, so no reference is needed and every session can be asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from safetensors.numpy import load, save

from edgernn.contract import BATCH, ENCODE, TIME, TensorSpec, next_name
from edgernn.parity.rollout import MOST_PICTURES, Drift, Feed, drifts, encoded, mixed_lengths, random_feed, run
from edgernn.sessions.base import Session

_SEED = 31


def chunks(session: Session, steps: int) -> tuple[Drift, ...]:
    """Compare one call over ``steps`` with single steps and with mixed calls: states at the end, outputs throughout.

    Returns nothing where the file takes one length only.
    """
    if session.file_contract.axis_size(TIME) is not None:
        return ()
    feed = random_feed(session, batch=session.file_contract.axis_size(BATCH) or 2, steps=steps, seed=_SEED)
    whole = _run(session, feed, lengths=(steps,))
    cuts = ((1,) * steps, mixed_lengths(steps), mixed_lengths(steps, (5, 3)))
    return drifts((whole, _run(session, feed, lengths=lengths)) for lengths in cuts)


def rows(session: Session, steps: int, *, batch: int = 3) -> tuple[Drift, ...]:
    """Compare each row of a batch with the same row alone. Returns nothing where the file takes one batch size only."""
    if session.file_contract.axis_size(BATCH) is not None:
        return ()
    lengths = _lengths(session, steps)
    feed = random_feed(session, batch=batch, steps=sum(lengths), seed=_SEED + 2)
    together = _run(session, feed, lengths=lengths)
    axes = _batch_axes(session)

    def row(arrays: dict[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
        return {name: np.take(array, [index], axis=axes[name]) for name, array in arrays.items()}

    def alone(index: int) -> dict[str, np.ndarray]:
        own = Feed(row(feed.inputs, index), row(feed.contexts, index), row(feed.state, index))
        return _run(session, own, lengths=lengths)

    return drifts((row(together, index), alone(index)) for index in range(batch))


def state_is_data(session: Session, steps: int) -> tuple[Drift, ...]:
    """Compare an undisturbed run with one whose state is saved, loaded and forked at each step beside a second stream.

    A session that keeps anything to itself between calls, or writes into the arrays it was given, shows here. A session
    of an encode graph is asked for the same pictures again, with others in between.
    """
    lengths = _lengths(session, steps)
    batch = session.file_contract.axis_size(BATCH) or 1
    feed, other = (random_feed(session, batch=batch, steps=sum(lengths), seed=_SEED + i) for i in (4, 8))
    undisturbed = [{name: array.copy() for name, array in made.items()} for made in run(session, feed, lengths=lengths)]
    disturb = _encode_among_others if session.spec.name == ENCODE else _step_among_others
    again = random_feed(session, batch=batch, steps=sum(lengths), seed=_SEED + 4)
    return drifts(zip(undisturbed, disturb(session, again, other, lengths=lengths), strict=True))


def _step_among_others(session: Session, feed: Feed, other: Feed, *, lengths: Sequence[int]) -> list[dict[str, np.ndarray]]:
    made, at = [], 0
    state, theirs = feed.state, other.state
    for length in lengths:
        ours, others = (
            {**{name: array[:, at : at + length] for name, array in f.inputs.items()}, **f.contexts} for f in (feed, other)
        )
        _, theirs = session.step(others, theirs)
        fork = load(save(state))
        session.step(others, fork)
        outputs, state = session.step(ours, fork)
        made.append({**outputs, **{next_name(name): array for name, array in state.items()}})
        at += length
    return made


def _encode_among_others(session: Session, feed: Feed, other: Feed, *, lengths: Sequence[int]) -> list[dict[str, np.ndarray]]:
    made = []
    for at in range(len(lengths)):
        encoded(session, {name: array[:, at] for name, array in other.inputs.items()})
        made.append(encoded(session, {name: array[:, at] for name, array in feed.inputs.items()}))
    return made


def _lengths(session: Session, steps: int) -> tuple[int, ...]:
    if session.spec.name == ENCODE:
        return (1,) * min(steps, MOST_PICTURES)
    return (session.file_contract.axis_size(TIME) or 1,) * steps


def _run(session: Session, feed: Feed, *, lengths: Sequence[int]) -> dict[str, np.ndarray]:
    """Run over ``feed``; return what has a time axis joined along it, and of everything else what came last."""
    made = list(run(session, feed, lengths=lengths))
    joined = {t.name: np.concatenate([m[t.name] for m in made], axis=t.axes.index(TIME)) for t in _timed(session)}
    return {**made[-1], **joined}


def _timed(session: Session) -> list[TensorSpec]:
    return [tensor for tensor in session.spec.read_outputs if TIME in tensor.axes]


def _batch_axes(session: Session) -> dict[str, int]:
    tensors = (*session.spec.inputs, *session.spec.outputs)
    return {tensor.name: tensor.axes.index(BATCH) for tensor in tensors}
