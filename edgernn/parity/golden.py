"""Golden runs: a chained run recorded once from the reference, so that any device can check itself
without one.

golden.safetensors    N steps of one row, tensors under their contract names
  NAME        [N, B, 1, …]    every fresh input of step, per step
  STATE       [L, B, H]       every state before the first step; not zeros, and each state different
  OUTPUT      [N, B, 1, …]    every output, per step
  STATE_next  [N, L, B, H]    every state after each step
and of a model with an encode graph, whose run starts there:
  NAME        [B, …]          every input of encode
  CONTEXT     [B, …]          what encode makes of it, and every step takes
The states before the first step are then encode's, where it gives them.

A file has at most ``MOST_BYTES``. Where the run would need more, an output whose last axis has more
than 512 values, such as the logits of a large vocabulary, is not in it; in its place are five
tensors (see ``summary.py``):
  OUTPUT.columns      int64 [C]           ids, ascending
  OUTPUT.at_columns   [N, B, 1, C]        the values at them
  OUTPUT.largest_ids  int64 [N, B, 1, K]  the ids of the largest values of each step
  OUTPUT.largest      [N, B, 1, K]        those values
  OUTPUT.log_sum      [N, B, 1]           the logarithm of the sum of exp over all values
A device compares its own values at ``columns`` with ``at_columns``, those at ``largest_ids`` with
``largest``, and its own log-sum with ``log_sum``, each as any recorded output. Where that does not
suffice (a wide state), the run has fewer steps, but at least 8: a picture and what encode makes of
it are whole at any size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import safetensors.numpy

from edgernn import storage
from edgernn.bundle import summary
from edgernn.bundle.summary import AT_COLUMNS, LARGEST_IDS, LARGEST_VALUES, LOG_SUM, NAME_COLUMNS
from edgernn.contract import BATCH, ENCODE, TIME, Contract, TensorSpec
from edgernn.errors import BundleError
from edgernn.parity.rollout import (
    Drift,
    Feed,
    drifts,
    encoded,
    forced_pairs,
    random_pictures,
    random_state,
    run,
)
from edgernn.sessions.base import Session
from edgernn.storage import tensor_files

GOLDEN_STEPS = 32
MOST_BYTES = 4_000_000
_HEADER_BYTES = 4096  # more than the names and shapes of a run take in its file
_MOST_STEPS = 256  # all ids of a byte vocabulary
_FEWEST_STEPS = 8
_SEED = 20

_Arrays = dict[str, np.ndarray]
_Layout = dict[str, tuple[str, tuple[int, ...]]]  # name → dtype and shape
_Kept = dict[
    str, tuple[int, int]
]  # an output that is not whole → how many columns and largest values are kept


def record(
    session: Session, path: Path, *, encoder: Session | None = None, steps: int | None = None
) -> None:
    """Run ``session`` and write what went in and came out.

    The run starts from what ``encoder`` makes of a fixed picture, else from the learned first
    state, else from a fixed random one. Without ``steps`` it is as long as it takes to visit every
    id of a small vocabulary: 32 to 256 steps. It is shorter where ``MOST_BYTES`` allow no more.
    """
    contract = session.contract
    sizes = [contract.sizes[spec.below or ""] for spec in session.spec.fresh_inputs]
    steps, kept = _plan(contract, steps or max(GOLDEN_STEPS, min(_MOST_STEPS, *sizes)))
    images = {}
    contexts, start = dict[str, np.ndarray](), random_state(contract, batch=1, seed=_SEED + 1)
    if encoder is not None:
        images = {
            name: array[:, -1]
            for name, array in random_pictures(contract, batch=1, count=3, seed=_SEED).items()
        }
        contexts, first = encoder.encode(images)
        start = first if contract.starting(ENCODE) else start
    elif contract.starting("stored"):
        start = session.initial_state(1)
    feed = Feed(_covering_inputs(contract, steps), contexts, start)
    columns = {name: summary.spread_columns(_width(contract, name)) for name in kept}
    made = [_recorded(step, columns) for step in run(session, feed, lengths=(1,) * steps)]
    tensors = {
        name: np.stack(np.split(array, steps, axis=1)) for name, array in feed.inputs.items()
    }
    tensors |= {**images, **contexts, **start}
    tensors |= {f"{name}.{NAME_COLUMNS}": ids for name, ids in columns.items()}
    tensors |= {name: np.stack([step[name] for step in made]) for name in made[0]}
    storage.write_bytes(
        path, safetensors.numpy.save({n: np.ascontiguousarray(a) for n, a in tensors.items()})
    )


def _plan(contract: Contract, steps: int) -> tuple[int, _Kept]:
    """Return how many of ``steps`` fit into a golden run, and which outputs are not whole in it."""
    if _size_bytes(contract, steps, {}) <= MOST_BYTES:
        return steps, {}
    wide = [
        tensor.name
        for tensor in contract.step.read_outputs
        if _width(contract, tensor.name) > summary.WIDEST
    ]
    kept = dict.fromkeys(wide, (summary.COLUMNS, summary.LARGEST))
    fixed = _size_bytes(contract, 0, kept)
    fitting = (MOST_BYTES - fixed) // (_size_bytes(contract, 1, kept) - fixed)
    return min(steps, max(_FEWEST_STEPS, fitting)), kept


def _recorded(made: _Arrays, columns: _Arrays) -> _Arrays:
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


def _covering_inputs(contract: Contract, steps: int) -> dict[str, np.ndarray]:
    """Return inputs of ``steps`` steps that visit the ids in shuffled order, each once before any
    comes again.
    """
    random = np.random.default_rng(_SEED)
    inputs = {}
    for spec in contract.step.fresh_inputs:
        size = contract.sizes[spec.below or ""]
        ids = np.concatenate([random.permutation(size) for _ in range(-(-steps // size))])
        inputs[spec.name] = ids[None, :steps].astype(np.int64)  # [1, N]
    return inputs


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
    golden = read(path, session.contract)
    spec = session.spec
    if spec.name == ENCODE:
        names = [tensor.name for tensor in spec.outputs]
        given = {tensor.name: golden[tensor.name] for tensor in spec.inputs}
        return drifts(
            iter([({name: golden[name] for name in names}, encoded(session, given))]),
            relative=forced,
        )
    inputs = {
        tensor.name: np.concatenate(list(golden[tensor.name]), axis=1)
        for tensor in spec.fresh_inputs
    }
    contexts, start = (
        {tensor.name: golden[tensor.name] for tensor in group}
        for group in (spec.contexts, spec.states)
    )
    kept = _kept(golden, session.contract)
    names = [name for tensor in spec.outputs for name in _compared(tensor, kept)]
    steps = len(golden[names[0]])
    expected = ({name: golden[name][step] for name in names} for step in range(steps))
    feed, lengths = Feed(inputs, contexts, start), (1,) * steps
    if forced:
        pairs = forced_pairs(session, feed, expected, lengths=lengths)
    else:
        pairs = zip(expected, run(session, feed, lengths=lengths), strict=True)
    return drifts(_summarised(pairs, golden, kept), relative=forced and relative)


def parting(session: Session, other: Session, path: Path) -> float:
    """Return how far two sessions of one step graph go apart over the recorded inputs, each on its
    own state, scaled.

    What was recorded besides the inputs and the start is not looked at, so that a record that is
    wrong explains nothing.
    """
    golden = read(path, session.contract)
    spec = session.spec
    inputs = {
        tensor.name: np.concatenate(list(golden[tensor.name]), axis=1)
        for tensor in spec.fresh_inputs
    }
    contexts, start = (
        {tensor.name: golden[tensor.name] for tensor in group}
        for group in (spec.contexts, spec.states)
    )
    feed, lengths = Feed(inputs, contexts, start), (1,) * next(iter(inputs.values())).shape[1]
    pairs = zip(run(session, feed, lengths=lengths), run(other, feed, lengths=lengths), strict=True)
    return max(drift.scaled for drift in drifts(pairs))


def shortfall(path: Path, contract: Contract) -> str:
    """Say how a golden run is shorter, or meets fewer ids, than every run that is recorded; nothing
    where it is whole.
    """
    golden = read(path, contract)
    for spec in contract.step.fresh_inputs:
        ids, size = golden[spec.name], contract.sizes[spec.below or ""]
        planned = _plan(contract, max(GOLDEN_STEPS, min(_MOST_STEPS, size)))[0]
        if len(ids) < planned:
            return (
                f"the golden run has {len(ids)} steps, expected {planned}; export the bundle again"
            )
        met, wanted = len(np.unique(ids)), min(size, len(ids))
        if met < wanted:
            return (
                f"the golden run meets {met} ids of {spec.name}, expected {wanted}; export the "
                "bundle again"
            )
    return ""


def _summarised(
    pairs: Iterable[tuple[_Arrays, _Arrays]], golden: _Arrays, kept: _Kept
) -> Iterator[tuple[_Arrays, _Arrays]]:
    """Add to what was made at each step what is compared of the outputs that are not recorded
    whole.
    """
    for step, (wanted, made) in enumerate(pairs):
        parts = dict(made)
        for name in kept:
            columns, ids = golden[f"{name}.{NAME_COLUMNS}"], golden[f"{name}.{LARGEST_IDS}"][step]
            parts |= summary.summarise(name, parts.pop(name), columns=columns, ids=ids)
        yield wanted, parts


def read(path: Path, contract: Contract) -> dict[str, np.ndarray]:
    """Read a golden run and make sure that it has every tensor of the contract.

    Raises:
        BundleError: the file is damaged or belongs to another contract.
    """
    golden = tensor_files.read(
        path, what="golden run", remedy="export the bundle again", error=BundleError
    )
    kept = _kept(golden, contract)
    steps = len(golden.get(_compared(contract.step.outputs[0], kept)[0], ()))
    wanted = _layout(contract, steps, kept)
    found = {name: (str(array.dtype), array.shape) for name, array in golden.items()}
    if found != wanted or steps == 0:
        wrong = sorted(
            name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
        )
        raise BundleError(
            f"{path} does not fit the contract in {', '.join(wrong) or 'its steps'}; export "
            "the bundle again"
        )
    for name in kept:
        _check_ids(golden, name, _width(contract, name), path)
    return golden


def _check_ids(golden: _Arrays, name: str, width: int, path: Path) -> None:
    """Raise BundleError where the recorded ids of the output ``name`` are not below ``width``, or
    columns come twice.
    """
    for part in (NAME_COLUMNS, LARGEST_IDS):
        ids = golden[f"{name}.{part}"]
        outside = ids.size == 0 or ids.min() < 0 or ids.max() >= width
        if outside or (part == NAME_COLUMNS and (np.diff(ids) <= 0).any()):
            order = "ascending ids" if part == NAME_COLUMNS else "ids"
            raise BundleError(
                f"{path}: {name}.{part} must be {order} from 0 to {width - 1}; export the "
                "bundle again"
            )


def _kept(golden: _Arrays, contract: Contract) -> _Kept:
    """Return the outputs that a golden run does not hold whole, with how many columns and largest
    values it has of each.
    """
    found = {}
    for tensor in contract.step.read_outputs:
        columns, ids = (golden.get(f"{tensor.name}.{part}") for part in (NAME_COLUMNS, LARGEST_IDS))
        if columns is not None and ids is not None and columns.ndim and ids.ndim:
            found[tensor.name] = (columns.shape[0], ids.shape[-1])
    return found


def _width(contract: Contract, name: str) -> int:
    (tensor,) = (tensor for tensor in contract.step.read_outputs if tensor.name == name)
    return contract.sizes.get(tensor.axes[-1], 1)


def _compared(tensor: TensorSpec, kept: _Kept) -> tuple[str, ...]:
    """Return the names under which a step's output is recorded and compared."""
    parts = (AT_COLUMNS, LARGEST_VALUES, LOG_SUM)
    return (
        tuple(f"{tensor.name}.{part}" for part in parts) if tensor.name in kept else (tensor.name,)
    )


def _size_bytes(contract: Contract, steps: int, kept: _Kept) -> int:
    """Return the size of a golden run's file, or a little more."""
    layout = _layout(contract, steps, kept).values()
    return _HEADER_BYTES + sum(
        np.dtype(dtype).itemsize * math.prod(shape) for dtype, shape in layout
    )


def _layout(contract: Contract, steps: int, kept: _Kept) -> _Layout:
    """Return the dtype and shape of every tensor of a golden run."""
    sizes = {**contract.sizes, BATCH: 1, TIME: 1}
    spec = contract.step
    layout: _Layout
    layout = {
        t.name: (t.dtype, (steps, *(sizes[axis] for axis in t.axes)))
        for t in (*spec.fresh_inputs, *spec.outputs)
    }
    for name, (columns, largest) in kept.items():
        dtype, (*outer, _) = layout.pop(name)
        layout[f"{name}.{NAME_COLUMNS}"] = ("int64", (columns,))
        layout[f"{name}.{AT_COLUMNS}"] = (dtype, (*outer, columns))
        layout[f"{name}.{LARGEST_IDS}"] = ("int64", (*outer, largest))
        layout[f"{name}.{LARGEST_VALUES}"] = (dtype, (*outer, largest))
        layout[f"{name}.{LOG_SUM}"] = (dtype, tuple(outer))
    once = (*spec.states, *spec.contexts, *(contract.encode.inputs if contract.encode else ()))
    layout.update({t.name: (t.dtype, tuple(sizes[axis] for axis in t.axes)) for t in once})
    return layout
