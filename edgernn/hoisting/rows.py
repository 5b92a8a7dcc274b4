"""Rows of a batch are strangers: what one gives must not hang on the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from edgernn.contract import BATCH, TIME, TensorSpec
from edgernn.errors import ContractError
from edgernn.hoisting.inputs import Inputs
from edgernn.hoisting.stream import close

if TYPE_CHECKING:
    from edgernn.hoisting.hoisted import Hoisted

_ROWS, _ONE, _CALLS = 3, 1, 2


def refuse_mixed_rows(hoisted: Hoisted) -> None:
    """Raise ContractError where a row alone gives something else than among others: the axis that
    was called batch is another one, or the network mixes rows.
    """
    inputs = hoisted.network.inputs
    if not any(BATCH in spec.axes for spec in inputs.specs):
        return
    frames = hoisted.contract.step_frames
    sizes = inputs.measured(**{BATCH: _ROWS, TIME: frames})
    once, specs = inputs.draw_start(sizes), (*inputs.specs, *inputs.start)
    calls = [[*inputs.draw(sizes, seed=seed), *once] for seed in range(_CALLS)]
    alone = [_row(specs, call) for call in calls]
    whole, single = _run(hoisted, calls, _ROWS), _run(hoisted, alone, 1)
    step = hoisted.contract.step
    for spec in (*step.read_outputs, *step.states):
        one = _row([spec], [whole[spec.name]])[0]
        if not close(one, single[spec.name]):
            raise ContractError(
                f"a row of {spec.name} hangs on the other rows of its call. The network's axes "
                f"may be others than were said: {_hint(inputs)}"
            )


def _row(specs: Sequence[TensorSpec], tensors: Sequence[Tensor]) -> list[Tensor]:
    return [
        tensor if (axis := spec.axis(BATCH)) is None else tensor.narrow(axis, _ONE, 1)
        for spec, tensor in zip(specs, tensors, strict=True)
    ]


def _run(hoisted: Hoisted, calls: Sequence[Sequence[Tensor]], rows: int) -> dict[str, Tensor]:
    """Return the outputs and the state after calls from the start, by name."""
    inputs = hoisted.network.inputs
    names = [spec.name for spec in (*inputs.specs, *inputs.start)]
    given = [dict(zip(names, call, strict=True)) for call in calls]
    once = () if hoisted.contract.encode is None else hoisted.contract.encode.inputs
    contexts, state = hoisted.begin({t.name: given[0][t.name] for t in once}, rows)
    outputs: dict[str, Tensor] = {}
    for call in given:
        outputs, state = hoisted({**call, **contexts}, state)
    return {**outputs, **state}


def _hint(inputs: Inputs) -> str:
    """Return an input with its axes in another order, or with time."""
    spec = next(spec for spec in inputs.specs if BATCH in spec.axes)
    axes = [str(inputs.sizes.get(axis, axis)) for axis in spec.axes]
    at = axes.index(BATCH)
    if TIME in axes:
        to = axes.index(TIME)
        axes[at], axes[to] = TIME, BATCH
    else:
        axes.insert(at + 1, TIME)
    return f'give "{spec.name}: {spec.dtype}[{", ".join(axes)}]" where it takes that'
