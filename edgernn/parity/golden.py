"""Golden runs: a chained run recorded once from the reference, so that any device can check itself without one.

golden.safetensors    N steps of one row, tensors under their contract names
  NAME        [N, B, 1, …]    every caller's input, per step
  STATE       [L, B, H]       every state before the first step; not zeros, and each state different
  OUTPUT      [N, B, 1, …]    every output, per step
  STATE_next  [N, L, B, H]    every state after each step
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from edgernn import storage
from edgernn.contract import BATCH, TIME, Contract, first_line
from edgernn.errors import BundleError
from edgernn.parity.rollout import Drift, chain_steps, drifts, random_state
from edgernn.sessions.base import Session

GOLDEN_STEPS = 32
_MOST_STEPS = 256  # all ids of a byte vocabulary
_SEED = 20


def record(session: Session, path: Path, *, steps: int | None = None) -> None:
    """Run ``session`` from a fixed random start, or the learned first state, and write what went in and came out.

    Without ``steps`` the run is as long as it takes to visit every id of a small vocabulary: 32 to 256 steps.
    """
    sizes = [session.contract.sizes[spec.below or ""] for spec in session.spec.caller_inputs]
    steps = steps or max(GOLDEN_STEPS, min(_MOST_STEPS, *sizes))
    inputs = _covering_inputs(session.contract, steps)
    learned = session.contract.initial_state == "learned"
    start = session.initial_state(1) if learned else random_state(session.contract, batch=1, seed=_SEED + 1)
    made = list(chain_steps(session, inputs, start, lengths=(1,) * steps))
    tensors = {name: np.stack(np.split(array, steps, axis=1)) for name, array in inputs.items()}
    tensors |= start
    tensors |= {name: np.stack([step[name] for step in made]) for name in made[0]}
    storage.write_bytes(path, safetensors.numpy.save({n: np.ascontiguousarray(a) for n, a in tensors.items()}))


def _covering_inputs(contract: Contract, steps: int) -> dict[str, np.ndarray]:
    """Return inputs of ``steps`` steps that visit the ids in shuffled order, each once before any comes again."""
    random = np.random.default_rng(_SEED)
    inputs = {}
    for spec in contract.step.caller_inputs:
        size = contract.sizes[spec.below or ""]
        ids = np.concatenate([random.permutation(size) for _ in range(-(-steps // size))])
        inputs[spec.name] = ids[None, :steps].astype(np.int64)  # [1, N]
    return inputs


def replay(session: Session, path: Path) -> tuple[Drift, ...]:
    """Run ``session`` over the recorded inputs from the recorded start, feeding back its own state.

    Returns:
        A drift per output and state.

    Raises:
        BundleError: the file is damaged or belongs to another contract.
    """
    golden = read(path, session.contract)
    spec = session.spec
    names = [tensor.name for tensor in spec.outputs]
    inputs = {tensor.name: np.concatenate(list(golden[tensor.name]), axis=1) for tensor in spec.caller_inputs}
    start = {state.name: golden[state.name] for state in spec.states}
    steps = len(golden[names[0]])
    expected = ({name: golden[name][step] for name in names} for step in range(steps))
    return drifts(zip(expected, chain_steps(session, inputs, start, lengths=(1,) * steps), strict=True))


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
    layout = {t.name: (t.dtype, (steps, *(sizes[axis] for axis in t.axes))) for t in (*spec.caller_inputs, *spec.outputs)}
    layout.update({s.name: (s.dtype, tuple(sizes[axis] for axis in s.axes)) for s in spec.states})
    return layout
