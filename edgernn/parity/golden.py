"""Golden runs: a chained run recorded once from the reference, so that any device can check itself without one.

golden.safetensors    N steps of one row, tensors under their contract names
  NAME        [N, B, 1, …]    every fresh input of step, per step
  STATE       [L, B, H]       every state before the first step; not zeros, and each state different
  OUTPUT      [N, B, 1, …]    every output, per step
  STATE_next  [N, L, B, H]    every state after each step
and of a model with an encode graph, whose run starts there:
  NAME        [B, …]          every input of encode
  CONTEXT     [B, …]          what encode makes of it, and every step takes
The states before the first step are then encode's, where it gives them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from edgernn import storage
from edgernn.contract import BATCH, ENCODE, TIME, Contract, first_line
from edgernn.errors import BundleError
from edgernn.parity.rollout import Drift, Feed, drifts, encoded, forced_pairs, random_pictures, random_state, run
from edgernn.sessions.base import Session

GOLDEN_STEPS = 32
_MOST_STEPS = 256  # all ids of a byte vocabulary
_SEED = 20


def record(session: Session, path: Path, *, encoder: Session | None = None, steps: int | None = None) -> None:
    """Run ``session`` and write what went in and came out.

    The run starts from what ``encoder`` makes of a fixed picture, else from the learned first state, else from a fixed
    random one. Without ``steps`` it is as long as it takes to visit every id of a small vocabulary: 32 to 256 steps.
    """
    contract = session.contract
    sizes = [contract.sizes[spec.below or ""] for spec in session.spec.fresh_inputs]
    steps = steps or max(GOLDEN_STEPS, min(_MOST_STEPS, *sizes))
    images = {}
    contexts, start = dict[str, np.ndarray](), random_state(contract, batch=1, seed=_SEED + 1)
    if encoder is not None:
        images = {name: array[:, -1] for name, array in random_pictures(contract, batch=1, count=3, seed=_SEED).items()}
        contexts, first = encoder.encode(images)
        start = first if contract.initial_state == ENCODE else start
    elif contract.initial_state == "learned":
        start = session.initial_state(1)
    feed = Feed(_covering_inputs(contract, steps), contexts, start)
    made = list(run(session, feed, lengths=(1,) * steps))
    tensors = {name: np.stack(np.split(array, steps, axis=1)) for name, array in feed.inputs.items()}
    tensors |= {**images, **contexts, **start}
    tensors |= {name: np.stack([step[name] for step in made]) for name in made[0]}
    storage.write_bytes(path, safetensors.numpy.save({n: np.ascontiguousarray(a) for n, a in tensors.items()}))


def _covering_inputs(contract: Contract, steps: int) -> dict[str, np.ndarray]:
    """Return inputs of ``steps`` steps that visit the ids in shuffled order, each once before any comes again."""
    random = np.random.default_rng(_SEED)
    inputs = {}
    for spec in contract.step.fresh_inputs:
        size = contract.sizes[spec.below or ""]
        ids = np.concatenate([random.permutation(size) for _ in range(-(-steps // size))])
        inputs[spec.name] = ids[None, :steps].astype(np.int64)  # [1, N]
    return inputs


def replay(session: Session, path: Path, *, forced: bool = False) -> tuple[Drift, ...]:
    """Run ``session`` over the recorded inputs of its graph; a step graph from the recorded start, on its own state.

    ``forced`` starts each step from the recorded state instead, and measures relative errors.

    Returns:
        A drift per output and state.

    Raises:
        BundleError: the file is damaged or belongs to another contract.
    """
    golden = read(path, session.contract)
    spec = session.spec
    names = [tensor.name for tensor in spec.outputs]
    if spec.name == ENCODE:
        given = {tensor.name: golden[tensor.name] for tensor in spec.inputs}
        return drifts(iter([({name: golden[name] for name in names}, encoded(session, given))]), relative=forced)
    inputs = {tensor.name: np.concatenate(list(golden[tensor.name]), axis=1) for tensor in spec.fresh_inputs}
    contexts, start = ({tensor.name: golden[tensor.name] for tensor in group} for group in (spec.contexts, spec.states))
    steps = len(golden[names[0]])
    expected = ({name: golden[name][step] for name in names} for step in range(steps))
    feed, lengths = Feed(inputs, contexts, start), (1,) * steps
    if forced:
        return drifts(forced_pairs(session, feed, expected, lengths=lengths), relative=True)
    return drifts(zip(expected, run(session, feed, lengths=lengths), strict=True))


def read(path: Path, contract: Contract) -> dict[str, np.ndarray]:
    """Read a golden run and make sure that it has every tensor of the contract."""
    try:
        golden: dict[str, np.ndarray] = safetensors.numpy.load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path} is no golden run ({first_line(error)}); export the bundle again") from error
    steps = len(golden.get(contract.step.outputs[0].name, ()))
    wanted = _layout(contract, steps)
    found = {name: (str(array.dtype), array.shape) for name, array in golden.items()}
    if found != wanted or steps == 0:
        wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
        raise BundleError(f"{path} does not fit the contract in {', '.join(wrong) or 'its steps'}; export the bundle again")
    return golden


def _layout(contract: Contract, steps: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the dtype and shape of every tensor of a golden run."""
    sizes = {**contract.sizes, BATCH: 1, TIME: 1}
    spec = contract.step
    layout: dict[str, tuple[str, tuple[int, ...]]]
    layout = {t.name: (t.dtype, (steps, *(sizes[axis] for axis in t.axes))) for t in (*spec.fresh_inputs, *spec.outputs)}
    once = (*spec.states, *spec.contexts, *(contract.encode.inputs if contract.encode else ()))
    layout.update({t.name: (t.dtype, tuple(sizes[axis] for axis in t.axes)) for t in once})
    return layout
