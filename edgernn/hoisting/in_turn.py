"""Several steps in one call of a graph that takes one step a call: run one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from edgernn.contract import TIME, Contract


def frames_of(contract: Contract, tensors: Sequence[Tensor]) -> int | None:
    """Return the frames of a call whose tensors are in the contract's order; None without time."""
    for spec, tensor in zip(contract.step.inputs, tensors, strict=True):
        if spec.role == "input" and (axis := spec.axis(TIME)) is not None:
            return tensor.shape[axis]
    return None


def in_turn(
    step: Callable[..., Sequence[Tensor]], contract: Contract, tensors: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Run ``step`` once for each ``step_frames`` frames of ``tensors``.

    Args:
        step: ``(*inputs, *contexts, *states) -> (*outputs, *next states)``, one step a call.
        contract: what goes in and out.
        tensors: the inputs of the step in the contract's order, of k steps.

    Returns:
        The outputs, their frames joined along time; one without time is the last step's. Then the
        next states.
    """
    spec, frames = contract.step, contract.step_frames
    places = [tensor.axis(TIME) if tensor.role == "input" else None for tensor in spec.inputs]
    count, states = len(spec.read_outputs), list(tensors[len(tensors) - len(spec.states) :])
    made: list[Sequence[Tensor]] = []
    for start in range(0, frames_of(contract, tensors) or 0, frames):
        part = [
            t if a is None else t.narrow(a, start, frames)
            for t, a in zip(tensors, places, strict=True)
        ]
        out = step(*part[: len(part) - len(states)], *states)
        made.append(out[:count])
        states = list(out[count:])
    joined = [
        torch.cat([one[at] for one in made], axis)
        if (axis := s.axis(TIME)) is not None
        else made[-1][at]
        for at, s in enumerate(spec.read_outputs)
    ]
    return (*joined, *states)
