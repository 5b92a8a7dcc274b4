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
from edgernn.parity.rollout import Drift, chain_steps, drifts, random_inputs, random_state
from edgernn.sessions.base import Session

GOLDEN_STEPS = 32
_SEED = 20


def record(session: Session, path: Path, *, steps: int = GOLDEN_STEPS) -> None:
    """Run ``session`` for ``steps`` steps from a fixed random start and write what went in and came out."""
    inputs = random_inputs(session.contract, batch=1, steps=steps, seed=_SEED)
    start = random_state(session.contract, batch=1, seed=_SEED + 1)
    made = list(chain_steps(session, inputs, start, lengths=(1,) * steps))
    tensors = {name: np.stack(np.split(array, steps, axis=1)) for name, array in inputs.items()}
    tensors |= start
    tensors |= {name: np.stack([step[name] for step in made]) for name in made[0]}
    storage.write_bytes(path, safetensors.numpy.save({n: np.ascontiguousarray(a) for n, a in tensors.items()}))


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
