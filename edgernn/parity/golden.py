"""Golden runs: a chained run recorded once from the reference, so that any device can check itself
without one. What is in the file stands in ``golden_file``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import safetensors.numpy

from edgernn import storage
from edgernn.bundle import summary
from edgernn.bundle.summary import LARGEST_IDS, NAME_COLUMNS
from edgernn.contract import TIME, Contract
from edgernn.parity.drift import Drift, drifts
from edgernn.parity.feed import Feed
from edgernn.parity.golden_file import (
    MOST_BYTES,
    Arrays,
    Kept,
    compared,
    constant_inputs,
    kept_of,
    plan,
    read,
    recorded_sizes,
    step_shape,
    told_once,
    width,
)
from edgernn.parity.rollout import forced_pairs, run
from edgernn.sessions.base import Session
from edgernn.sessions.draw import Sizes, drawn_inputs, is_cut, open_sizes, random_state, values
from edgernn.sessions.one_row import one_row

__all__ = ["GOLDEN_STEPS", "MOST_BYTES", "parting", "read", "record", "replay", "shortfall"]

GOLDEN_STEPS = 32
_MOST_STEPS = 256  # all ids of a byte vocabulary
_SEED = 20
_OPEN_STEPS = 5  # of an input of encode that has time


def record(
    session: Session,
    path: Path,
    *,
    encoder: Session | None = None,
    steps: int | None = None,
    sizes: Sizes | None = None,
) -> None:
    """Run ``session`` and write what went in and came out.

    Each state starts at what ``encoder`` makes of a fixed input (a picture), or at its stored first
    value, as the contract says, else at a fixed random one. Without ``steps`` the run is as long as
    it takes to visit every id of a small vocabulary: 32 to 256 steps. It is shorter where
    ``MOST_BYTES`` allow no more. ``sizes`` are those of axes that the contract leaves open, where
    files take no other; the rest is drawn.
    """
    contract = session.contract
    sizes = {
        **open_sizes(session.file_contract, seed=_SEED),
        **(sizes or {}),
        TIME: _OPEN_STEPS * contract.step_frames,
    }
    given, contexts, start = _start(session, encoder, sizes)
    sizes |= recorded_sizes({**given, **contexts, **start}, contract)
    steps, kept = plan(contract, steps or _long_enough(contract), sizes)
    inputs = _covering_inputs(contract, steps, sizes)  # [N, *axes]
    columns = {name: summary.spread_columns(width(contract, name)) for name in kept}
    feed = Feed(_as_run(inputs, contract), contexts, start)
    made = [_recorded(step, columns) for step in run(session, feed, lengths=(1,) * steps)]
    tensors = {**inputs, **given, **contexts, **start}
    tensors |= {f"{name}.{NAME_COLUMNS}": ids for name, ids in columns.items()}
    tensors |= {name: np.stack([step[name] for step in made]) for name in made[0]}
    storage.write_bytes(
        path, safetensors.numpy.save({n: np.asarray(a, order="C") for n, a in tensors.items()})
    )


def _start(
    session: Session, encoder: Session | None, sizes: Sizes
) -> tuple[Arrays, Arrays, Arrays]:
    """Return what encode is given and gives that is only read, the contexts it makes, and the
    states before the first step.
    """
    contract = session.contract
    given, contexts = Arrays(), Arrays()
    start, own = random_state(contract, batch=1, seed=_SEED + 1, sizes=sizes), Arrays()
    if encoder is not None:
        few = drawn_inputs(encoder.spec, contract, sizes, batch=1, steps=3, seed=_SEED)
        given = {name: array[-1] for name, array in few.items()}
        contexts, own = encoder.encode(given)
        made = encoder.encoded(given)
        given |= {tensor.name: made[tensor.name] for tensor in told_once(contract)}
    elif contract.initial_state:
        own = session.initial_state(1)
    return given, contexts, {**start, **{name: own[name] for name in contract.initial_state}}


def _long_enough(contract: Contract) -> int:
    below = [spec.below for spec in contract.step.fresh_inputs if spec.is_ids]
    fewest = min((contract.sizes[axis] for axis in below if axis), default=GOLDEN_STEPS)
    return max(GOLDEN_STEPS, min(_MOST_STEPS, fewest))


def _recorded(made: Arrays, columns: Arrays) -> Arrays:
    """Return what is written of one step; ``columns`` has those of each output that is not written
    whole.
    """
    found = {name: array for name, array in made.items() if name not in columns}
    for name, own in columns.items():
        ids = summary.largest_ids(made[name])
        found |= {
            f"{name}.{LARGEST_IDS}": ids,
            **summary.summarise(name, made[name], columns=own, ids=ids),
        }
    return found


def _covering_inputs(contract: Contract, steps: int, sizes: Sizes) -> Arrays:
    """Return inputs of ``steps`` steps, ``[N, *axes]``: ids in shuffled order, each once before any
    comes again, and everything else drawn.
    """
    random, inputs = np.random.default_rng(_SEED), Arrays()
    once = {spec.name for spec in constant_inputs(contract)}
    for spec in contract.step.fresh_inputs:
        shape = ((1 if spec.name in once else steps), *step_shape(spec, contract, sizes))
        if spec.is_ids and spec.below is not None:
            size, count = contract.sizes[spec.below], math.prod(shape)
            ids = np.concatenate([random.permutation(size) for _ in range(-(-count // size))])
            made = ids[:count].reshape(shape).astype(spec.dtype)
        else:
            made = values(random, spec, shape, contract)
        inputs[spec.name] = np.repeat(made, steps // len(made), axis=0)
    return inputs


def _as_run(recorded: Arrays, contract: Contract) -> Arrays:
    """Return recorded inputs ``[N, *axes]`` as ``draw`` lays out those of a run."""
    if not is_cut(contract.step):
        return recorded
    constant, made = {spec.name for spec in constant_inputs(contract)}, Arrays()
    for spec in contract.step.fresh_inputs:
        array = recorded[spec.name]
        made[spec.name] = (
            array[0]
            if spec.name in constant
            else np.concatenate(list(array), axis=spec.axes.index(TIME))
        )
    return made


def _recorded_feed(golden: Arrays, contract: Contract) -> tuple[Feed, int]:
    """Return what goes into the run of a step graph, and how many steps it has."""
    spec = contract.step
    fresh = {tensor.name: golden[tensor.name] for tensor in spec.fresh_inputs}
    contexts, start = (
        {tensor.name: golden[tensor.name] for tensor in group}
        for group in (spec.contexts, spec.states)
    )
    return Feed(_as_run(fresh, contract), contexts, start), len(next(iter(fresh.values())))


def replay(
    session: Session, path: Path, *, forced: bool = False, relative: bool = True
) -> tuple[Drift, ...]:
    """Run ``session`` over the recorded inputs of its graph; a step graph from the recorded start,
    on its own state.

    ``forced`` starts each step from the recorded state instead, and measures relative errors unless
    ``relative`` is false.

    Returns:
        A drift per output and state; three of an output that is not recorded whole.

    Raises:
        BundleError: the file is damaged or belongs to another contract.
    """
    golden, session = read(path, session.contract), one_row(session)
    spec = session.spec
    if session.spec.once:
        return drifts(iter([_encoding(session, golden)]), relative=forced)
    kept = kept_of(golden, session.contract)
    names = [name for tensor in spec.outputs for name in compared(tensor, kept)]
    feed, steps = _recorded_feed(golden, session.contract)
    expected = ({name: golden[name][step] for name in names} for step in range(steps))
    lengths = (1,) * steps
    if forced:
        pairs = forced_pairs(session, feed, expected, lengths=lengths)
    else:
        pairs = zip(expected, run(session, feed, lengths=lengths), strict=True)
    return drifts(_summarised(pairs, golden, kept), relative=forced and relative)


def _encoding(session: Session, golden: Arrays) -> tuple[Arrays, Arrays]:
    """Return what is recorded of encode, and what ``session`` makes of the recorded inputs."""
    made = session.encoded({tensor.name: golden[tensor.name] for tensor in session.spec.inputs})
    return {name: golden[name] for name in made}, made


def parting(session: Session, other: Session, path: Path) -> float:
    """Return how far two sessions of one step graph go apart over the recorded inputs, each on its
    own state, scaled.

    What was recorded besides the inputs and the start is not looked at, so that a record that is
    wrong explains nothing.
    """
    feed, steps = _recorded_feed(read(path, session.contract), session.contract)
    lengths = (1,) * steps
    pairs = zip(run(session, feed, lengths=lengths), run(other, feed, lengths=lengths), strict=True)
    return max(drift.scaled for drift in drifts(pairs))


def shortfall(path: Path, contract: Contract) -> str:
    """Say how a golden run is shorter, or meets fewer ids, than every run that is recorded; nothing
    where it is whole.
    """
    golden = read(path, contract)
    planned, _ = plan(contract, _long_enough(contract), recorded_sizes(golden, contract))
    for spec in contract.step.fresh_inputs:
        found = golden[spec.name]
        if len(found) < planned:
            return (
                f"the golden run has {len(found)} steps, expected {planned}; export the bundle "
                "again"
            )
        if not spec.is_ids or spec.below is None:
            continue
        found = found[:1] if spec in constant_inputs(contract) else found
        met, wanted = len(np.unique(found)), min(contract.sizes[spec.below], found.size)
        if met < wanted:
            return (
                f"the golden run meets {met} ids of {spec.name}, expected {wanted}; export the "
                "bundle again"
            )
    return ""


def _summarised(
    pairs: Iterable[tuple[Arrays, Arrays]], golden: Arrays, kept: Kept
) -> Iterator[tuple[Arrays, Arrays]]:
    """Add to what was made at each step what is compared of the outputs that are not recorded
    whole.
    """
    for step, (wanted, made) in enumerate(pairs):
        parts = dict(made)
        for name in kept:
            columns, ids = golden[f"{name}.{NAME_COLUMNS}"], golden[f"{name}.{LARGEST_IDS}"][step]
            parts |= summary.summarise(name, parts.pop(name), columns=columns, ids=ids)
        yield wanted, parts
