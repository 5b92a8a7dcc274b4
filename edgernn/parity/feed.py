"""What goes into one run, how it is cut into calls, and which calls a file takes.

A step is ``step_frames`` frames along time; the length of a call is told in steps. Where no input
has time a call is one step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgernn.contract import BATCH, TIME, TensorSpec
from edgernn.sessions.base import Session, State
from edgernn.sessions.draw import (
    drawn_inputs,
    drawn_once,
    is_cut,
    open_sizes,
    random_inputs,
    random_state,
)

Named = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Feed:
    """What goes into one run: the fresh inputs of all its steps, as ``draw`` lays them out (ids
    ``[B, N]``), contexts, and the state before the first.
    """

    inputs: Named
    contexts: Named
    state: State


def random_feed(
    session: Session, *, batch: int, steps: int, seed: int, sizes: Mapping[str, int] | None = None
) -> Feed:
    """Return a random feed for the graph of ``session``: every tensor and row its own values, the
    same for a seed, and open axes of one size throughout, one of ``sizes`` where they are given.
    """
    contract = session.contract
    sizes = {**(open_sizes(session.file_contract, seed=seed) if sizes is None else sizes)}
    if session.spec.once:
        time = session.file_contract.axis_size(TIME) or contract.step_frames * (2 + seed % 5)
        graph, sizes = session.spec, {**sizes, TIME: time}
        made = drawn_inputs(graph, contract, sizes, batch=batch, steps=steps, seed=seed)
        return Feed(made, {}, {})
    return Feed(
        random_inputs(contract, batch=batch, steps=steps, seed=seed, sizes=sizes),
        drawn_once(contract.step.contexts, contract, sizes, batch=batch, seed=seed + 2),
        random_state(contract, batch=batch, seed=seed + 1, sizes=sizes),
    )


def fresh_of(session: Session, inputs: Named, at: int, length: int = 1) -> Named:
    """Return what is fresh in the call of ``length`` steps that begins at step ``at``."""
    if not is_cut(session.spec):
        return {name: array[at] for name, array in inputs.items()}
    frames = session.contract.step_frames
    part = slice(at * frames, (at + length) * frames)
    made = dict(inputs)
    for spec in session.spec.fresh_inputs:
        if (place := spec.axis(TIME)) is not None:
            made[spec.name] = inputs[spec.name][(slice(None),) * place + (part,)]
    return made


def row_of(session: Session, feed: Feed, index: int) -> Feed:
    """Return the feed of one row; what has no batch is shared by all rows."""
    lead = 0 if is_cut(session.spec) else 1

    def chosen(arrays: Named, first: int) -> Named:
        specs = {spec.name: spec for spec in session.spec.inputs}
        return {
            name: taken(array, specs[name], [index], first=first) for name, array in arrays.items()
        }

    return Feed(chosen(feed.inputs, lead), chosen(feed.contexts, 0), chosen(feed.state, 0))


def taken(array: np.ndarray, spec: TensorSpec, rows: list[int], *, first: int = 0) -> np.ndarray:
    """Return the rows of a tensor whose own axes begin at ``first``; all of it where it has no
    batch.
    """
    place = spec.axis(BATCH)
    return array if place is None else np.take(array, rows, axis=place + first)


def fixed_rows(session: Session) -> int | None:
    """Return the only number of rows that the file takes, or None where the caller chooses."""
    if any(BATCH in spec.axes for spec in session.spec.inputs):
        return session.file_contract.axis_size(BATCH)
    return 1


def fixed_steps(session: Session) -> int | None:
    """Return the only number of steps that a call of the file takes, or None where the caller
    chooses.
    """
    if not is_cut(session.spec):
        return 1
    time = session.file_contract.axis_size(TIME)
    return None if time is None else max(1, time // session.contract.step_frames)


def widest(session: Session) -> int:
    """Return the most values that one step of one row has in a tensor with time, or the size of the
    largest axis where that is more.
    """
    sizes = {**session.contract.sizes, BATCH: 1, TIME: session.contract.step_frames}
    tensors = (*session.spec.inputs, *session.spec.outputs) if not session.spec.once else ()
    timed = [math.prod(sizes.get(a, 1) for a in t.axes) for t in tensors if TIME in t.axes]
    return max([1, *session.contract.sizes.values(), *timed])
