"""What was found in a foreign file, for ``edgernn explain``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgernn.contract import Contract, TensorSpec
from edgernn.formats.compatibility import elsewhere
from edgernn.hoisting.explain import Found, FoundState, FoundTensor
from edgernn.hoisting.onnx.proof import prove
from edgernn.hoisting.onnx.step import ForeignStep, Wishes, read_step
from edgernn.hoisting.onnx.written import formats_of
from edgernn.sessions.ort.operators import needs_of


def explain_onnx(path: Path, wishes: Wishes | None = None) -> Found:
    """Return what is found in the file at ``path``, and how near its step is to it.

    Raises:
        UsageError, ContractError: as ``read_step`` and ``prove``.
    """
    step = read_step(path, wishes)
    proof = prove(step)
    words = f"the same as the file over {proof.steps} chained steps within {proof.worst:.1e}"
    contract = step.contract
    spec = contract.step
    return Found(
        source=path.name,
        states=tuple(
            FoundState(_tensor(own, contract), _first(step, own.name), state.where)
            for own, state in zip(spec.states, step.states, strict=True)
        ),
        inputs=tuple(_tensor(own, contract) for own in spec.fresh_inputs),
        outputs=tuple(_tensor(own, contract) for own in spec.read_outputs),
        step_frames=contract.step_frames,
        latency_frames=contract.latency_frames,
        formats=formats_of(step),
        renamed=step.renamed,
        warnings=step.warnings,
        proof=words,
        elsewhere=elsewhere(needs_of(path)),
    )


def _tensor(spec: TensorSpec, contract: Contract) -> FoundTensor:
    axes = (f"{a}={contract.sizes[a]}" if a in contract.sizes else a for a in spec.axes)
    return FoundTensor(spec.name, spec.dtype, tuple(axes))


def _first(step: ForeignStep, name: str) -> str:
    value = step.first_state.get(name)
    if value is None:
        return "zeros"
    return f"a stored value from {np.min(value):.3g} to {np.max(value):.3g}"
