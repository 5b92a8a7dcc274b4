"""The contract of a step that was found, and the first values of its states."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgernn.contract import BATCH, ENCODE, Contract
from edgernn.contract.build import build_contract
from edgernn.contract.spec import Initial
from edgernn.errors import ContractError, UsageError
from edgernn.hoisting.inputs import Inputs, axes_text
from edgernn.hoisting.result import Made, State, Step


def first_rows(states: Sequence[State]) -> dict[str, Tensor]:
    """Return the first values that are not zeros, one row of each."""
    found = {}
    for state in states:
        if state.first is None or not state.first.any():
            continue
        value = state.first
        if state.batch is not None:
            value = value.narrow(state.batch, 0, 1)
            if not torch.equal(value.expand_as(state.first), state.first):
                raise ContractError(
                    f"the first value of {state.name} ({state.where}) differs from row to row; "
                    "give it as an input of its own"
                )
        found[state.name] = value.detach().clone()
    return found


def contract_of(inputs: Inputs, found: Step) -> Contract:
    """Return the contract of a step that was found.

    Raises:
        UsageError: an input of the step has an axis of any size, which nothing chooses.
    """
    _refuse_open(inputs, found)
    fixed = inputs.sizes
    starts: dict[str, Initial] = {s.name: ENCODE for s in found.states if s.first is None}
    starts |= dict.fromkeys(first_rows(found.states), "stored")

    def text(name: str) -> str:
        spec = inputs.named(name)
        axes = [f"{axis}={fixed[axis]}" if axis in fixed else axis for axis in spec.axes]
        below = "" if spec.below is None else f" below {spec.below}={fixed[spec.below]}"
        return f"{spec.dtype}[{', '.join(axes)}]{below}"

    return build_contract(
        inputs={name: text(name) for name in found.inputs},
        contexts={made.name: _made_text(made) for made in found.contexts},
        encode_inputs={name: text(name) for name in found.encode_inputs},
        states={state.name: _state_text(state) for state in found.states},
        outputs={made.name: _made_text(made) for made in found.outputs},
        initial_state=starts,
        step_frames=found.frames,
        latency_frames=found.latency,
    )


def _refuse_open(inputs: Inputs, found: Step) -> None:
    chosen = {axis for name in found.encode_inputs for axis in inputs.named(name).axes}
    for name in found.inputs:
        if axes := [
            a for a in inputs.named(name).axes if a in inputs.open_axes and a not in chosen
        ]:
            raise UsageError(
                f"{name} has the axis {axes[0]} of any size, and a step takes batch and time alone "
                f"so; say its size, as {axes[0]}=20, or, where {name} is constant over a run, "
                f"--context {name}"
            )


def _made_text(made: Made) -> str:
    return axes_text(made.name, _dtype(made.seen.dtype), list(made.axes), tuple(made.seen.shape))


def _state_text(state: State) -> str:
    axes: list[str | int | None] = [None] * len(state.shape)
    if state.batch is not None:
        axes[state.batch] = BATCH
    return axes_text(state.name, _dtype(state.dtype), axes, state.shape)


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
