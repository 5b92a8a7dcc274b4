"""Invariances: what must not matter. How a sequence is cut, who else is in the batch, where the state has been meanwhile.

Each measures a session against itself, so no reference is needed and every session can be asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from safetensors.numpy import load, save

from edgernn.contract import BATCH, TIME, TensorSpec, next_name
from edgernn.parity.rollout import Drift, chain_steps, drifts, mixed_lengths, random_inputs, random_state
from edgernn.sessions.base import Session, State

_SEED = 31


def chunks(session: Session, steps: int) -> tuple[Drift, ...]:
    """Compare one call over ``steps`` with single steps and with mixed calls: states at the end, outputs throughout.

    Returns nothing where the file takes one length only.
    """
    if session.file_contract.axis_size(TIME) is not None:
        return ()
    batch = session.file_contract.axis_size(BATCH) or 2
    inputs = random_inputs(session.contract, batch=batch, steps=steps, seed=_SEED)
    start = random_state(session.contract, batch=batch, seed=_SEED + 1)
    whole = _run(session, inputs, start, lengths=(steps,))
    cuts = ((1,) * steps, mixed_lengths(steps), mixed_lengths(steps, (5, 3)))
    return drifts((whole, _run(session, inputs, start, lengths=lengths)) for lengths in cuts)


def rows(session: Session, steps: int, *, batch: int = 3) -> tuple[Drift, ...]:
    """Compare each row of a batch with the same row alone. Returns nothing where the file takes one batch size only."""
    if session.file_contract.axis_size(BATCH) is not None:
        return ()
    lengths = (session.file_contract.axis_size(TIME) or 1,) * steps
    inputs = random_inputs(session.contract, batch=batch, steps=sum(lengths), seed=_SEED + 2)
    start = random_state(session.contract, batch=batch, seed=_SEED + 3)
    together = _run(session, inputs, start, lengths=lengths)
    axes = _batch_axes(session)

    def row(arrays: dict[str, np.ndarray], index: int) -> dict[str, np.ndarray]:
        return {name: np.take(array, [index], axis=axes[name]) for name, array in arrays.items()}

    return drifts(
        (row(together, index), _run(session, row(inputs, index), row(start, index), lengths=lengths)) for index in range(batch)
    )


def state_is_data(session: Session, steps: int) -> tuple[Drift, ...]:
    """Compare an undisturbed run with one whose state is saved, loaded and forked at each step beside a second stream.

    A session that keeps anything to itself between steps, or writes into the arrays it was given, shows here.
    """
    batch = session.file_contract.axis_size(BATCH) or 1
    width = session.file_contract.axis_size(TIME) or 1
    inputs, others = (random_inputs(session.contract, batch=batch, steps=steps * width, seed=_SEED + i) for i in (4, 5))
    start, other = (random_state(session.contract, batch=batch, seed=_SEED + i) for i in (6, 7))
    expected = chain_steps(session, inputs, start, lengths=(width,) * steps)
    undisturbed = [{name: array.copy() for name, array in step.items()} for step in expected]
    disturbed = []
    state = random_state(session.contract, batch=batch, seed=_SEED + 6)
    for index in range(steps):
        at = slice(index * width, (index + 1) * width)
        _, other = session.step({name: array[:, at] for name, array in others.items()}, other)
        fork = load(save(state))
        session.step({name: array[:, at] for name, array in others.items()}, fork)
        outputs, state = session.step({name: array[:, at] for name, array in inputs.items()}, fork)
        disturbed.append(_named(session, outputs, state))
    return drifts(zip(undisturbed, disturbed, strict=True))


def _run(session: Session, inputs: dict[str, np.ndarray], start: State, *, lengths: Sequence[int]) -> dict[str, np.ndarray]:
    """Step through ``inputs`` and return the outputs of all steps joined along time, and the last states."""
    made = list(chain_steps(session, inputs, start, lengths=lengths))
    joined = {t.name: np.concatenate([m[t.name] for m in made], axis=t.axes.index(TIME)) for t in _timed(session)}
    return {**made[-1], **joined}


def _timed(session: Session) -> list[TensorSpec]:
    return [tensor for tensor in session.spec.read_outputs if TIME in tensor.axes]


def _batch_axes(session: Session) -> dict[str, int]:
    tensors = (*session.spec.inputs, *session.spec.outputs)
    return {tensor.name: tensor.axes.index(BATCH) for tensor in tensors}


def _named(session: Session, outputs: dict[str, np.ndarray], state: State) -> dict[str, np.ndarray]:
    return {**outputs, **{next_name(name): array for name, array in state.items()}}
