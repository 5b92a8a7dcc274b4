"""The proof that a hoisted step equals its network: chained steps against whole sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from edgernn.contract import BATCH, TIME
from edgernn.errors import ContractError
from edgernn.hoisting.evaluating import evaluating
from edgernn.hoisting.hoisted import Hoisted
from edgernn.hoisting.places import USERS_ERRORS
from edgernn.models.weights import not_finite

STEPS = 256
_TOLERANCE = 1e-5  # relative to the largest value of an output, float32
_ROUNDING, _LARGEST = 3, 1e-3  # times what the last bit of its inputs moves a network by
_ROWS, _CHUNK = 3, 7


@dataclass(frozen=True)
class Proof:
    """What was compared, and the largest difference relative to the largest value."""

    steps: int
    rows: int
    error: float

    def __str__(self) -> str:
        return f"{self.steps} chained steps, {self.rows} rows at once, differ by {self.error:.1e}"


def prove(hoisted: Hoisted, *, steps: int = STEPS, rows: int = _ROWS, seed: int = 7) -> Proof:
    """Run the network over a whole sequence and the step in a chain, one step a call and several.

    A network that the last bit of its inputs moves by more than 1e-5, as sums in logarithms over a
    thousand frames are, may differ by a few times that.

    Raises:
        ContractError: they differ by more than 1e-5 of the largest value; names the output.
    """
    if (longest := hoisted.found.longest) is not None:
        steps = min(steps, longest // hoisted.contract.step_frames)
    inputs = _drawn(hoisted, steps, rows, seed)
    chunks = (1, _CHUNK) if hoisted.found.open_time and hoisted.contract.step.has_time else (1,)
    error = 0.0
    with evaluating(hoisted.network.call.net):
        expected = whole(hoisted, inputs)
        for chunk in chunks:
            found = chained(hoisted, inputs, chunk)
            error = max(error, _compare(hoisted, found, expected, chunk, inputs))
    return Proof(steps, rows, error)


def _drawn(hoisted: Hoisted, steps: int, rows: int, seed: int) -> list[dict[str, Tensor]]:
    """Return the inputs of a run: one dict for a sequence, or one for each step without time."""
    network, frames = hoisted.network, hoisted.contract.step_frames
    sizes = network.inputs.measured(**{BATCH: rows, TIME: steps * frames})
    names = [spec.name for spec in (*network.inputs.specs, *network.inputs.start)]
    count = 1 if network.inputs.has_time else steps
    drawn = network.inputs.draw_start(sizes, seed=seed)
    draws = [[*network.inputs.draw(sizes, seed=seed + at), *drawn] for at in range(count)]
    runs = [dict(zip(names, draw, strict=True)) for draw in draws]
    once = {name: runs[0][name] for name in hoisted.found.encode_inputs}
    return [{**run, **once} for run in runs]


def whole(hoisted: Hoisted, runs: Sequence[dict[str, Tensor]]) -> list[list[Tensor]]:
    """Return what the network itself gives: outputs of each call, from its own start."""
    network, call = hoisted.network, hoisted.network.call
    rows, own = _rows(hoisted, runs[0]), [runs[0][spec.name] for spec in network.inputs.start]
    sequence = [[inputs[name] for name in call.inputs] for inputs in runs]
    try:
        fresh = call.run_fresh(sequence, network.begin(rows, None, own))
        return [
            call.split(call.read_outputs(made), inputs)
            for made, inputs in zip(fresh, sequence, strict=True)
        ]
    except USERS_ERRORS:  # the network was made for another number of rows
        state, made = network.first(rows, None, own), []
    for inputs in sequence:
        outputs, state = network.run(inputs, state)
        made.append(outputs)
    return made


def _rows(hoisted: Hoisted, inputs: dict[str, Tensor]) -> int:
    for spec in hoisted.network.inputs.specs:
        if (place := spec.axis(BATCH)) is not None:
            return inputs[spec.name].shape[place]
    return 1


def chained(hoisted: Hoisted, runs: Sequence[dict[str, Tensor]], chunk: int) -> list[list[Tensor]]:
    """Return what the step gives, ``chunk`` steps a call; time joined again where there is one."""
    spec, frames = hoisted.contract.step, hoisted.contract.step_frames
    once = () if hoisted.contract.encode is None else hoisted.contract.encode.inputs
    first = {tensor.name: runs[0][tensor.name] for tensor in once}
    contexts, state = hoisted.begin(first, _rows(hoisted, runs[0]))
    calls = []
    for inputs in runs:
        for part in _parts(hoisted, inputs, chunk * frames):
            outputs, state = hoisted({**part, **contexts}, state)
            calls.append([outputs[t.name] for t in spec.read_outputs])
    if not spec.has_time:
        return calls
    return [
        [
            torch.cat([call[at] for call in calls], axis)
            if (axis := t.axis(TIME)) is not None
            else torch.stack([call[at] for call in calls])
            for at, t in enumerate(spec.read_outputs)
        ]
    ]


def _parts(hoisted: Hoisted, inputs: dict[str, Tensor], frames: int) -> list[dict[str, Tensor]]:
    step = {tensor.name: tensor for tensor in hoisted.contract.step.fresh_inputs}
    given = {name: value for name, value in inputs.items() if name in step}
    axes = {name: spec.axis(TIME) for name, spec in step.items()}
    length = next((given[n].shape[a] for n, a in axes.items() if a is not None), None)
    if length is None:
        return [given]
    return [
        {
            n: v if (a := axes[n]) is None else v.narrow(a, start, min(frames, length - start))
            for n, v in given.items()
        }
        for start in range(0, length, frames)
    ]


def _compare(
    hoisted: Hoisted,
    found: list[list[Tensor]],
    expected: list[list[Tensor]],
    chunk: int,
    inputs: list[dict[str, Tensor]],
) -> float:
    largest, moved = 0.0, None
    latency, frames = hoisted.contract.latency_frames, hoisted.contract.step_frames
    for call, (made, wanted) in enumerate(zip(found, expected, strict=True)):
        read = hoisted.contract.step.read_outputs
        for at, (spec, step, network) in enumerate(zip(read, made, wanted, strict=True)):
            one, other = step, network
            if hoisted.contract.step.has_time:
                late = latency + hoisted.found.outputs[at].warmup * _frames(hoisted, at)
                one, other = _aligned(hoisted, spec.axis(TIME), step, network, late, frames)
            error = _difference(one, other)
            largest = max(largest, error)
            if _TOLERANCE < error <= _LARGEST:
                moved = moved or whole(hoisted, _in_the_last_bit(inputs))
                if error <= _ROUNDING * _difference(moved[call][at], network):
                    continue
            if not network.isfinite().all() and (wrong := not_finite(hoisted.network.call.net)):
                raise ContractError(
                    f"{spec.name} of the network is not finite, and so are {wrong}; nothing was "
                    "written. Restore an earlier checkpoint"
                )
            if not error <= _TOLERANCE:
                raise ContractError(
                    f"{spec.name} of the step that was found differs from the network's by "
                    f"{error:.1e} of its largest value, {chunk} steps a call, allowed {_TOLERANCE}:"
                    " the network does something that was not understood; nothing was written"
                )
    return largest


def _in_the_last_bit(runs: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    """Return inputs that differ by their last bit, up or down."""
    generator = torch.Generator().manual_seed(0)

    def moved(value: Tensor) -> Tensor:
        if not value.is_floating_point():
            return value
        signs = torch.randint(2, value.shape, generator=generator) * 2 - 1
        return value * (1 + signs * torch.finfo(value.dtype).eps)

    return [{name: moved(value) for name, value in run.items()} for run in runs]


def _frames(hoisted: Hoisted, at: int) -> int:
    """Return how many frames an element of an output stands for."""
    timed = TIME in hoisted.found.outputs[at].axes
    return 1 if timed else hoisted.contract.step_frames


def _aligned(
    hoisted: Hoisted, axis: int | None, one: Tensor, other: Tensor, latency: int, frames: int
) -> tuple[Tensor, Tensor]:
    """Bring a chain's output and the whole sequence's to the same frames."""
    if axis is not None:
        count = min(one.shape[axis] - latency, other.shape[axis])
        return one.narrow(axis, latency, count), other.narrow(axis, 0, count)
    steps = one.shape[0]
    if one[-1].shape == other.shape:  # one moment's: the newest
        return one[-1], other
    if one.dim() == other.dim() + 1 and one[0].shape != other.shape:
        return _several(one, other, Fraction(latency, frames))
    places = [
        d
        for d, n in enumerate(other.shape)
        if (*other.shape[:d], *other.shape[d + 1 :]) == one.shape[1:]
    ]
    if not places:
        return one, other
    place = max(places, key=lambda d: other.shape[d])
    late = latency // frames
    moved = one.movedim(0, place)
    count = min(steps - late, other.shape[place])
    return moved.narrow(place, late, count), other.narrow(place, 0, count)


def _several(one: Tensor, other: Tensor, late: Fraction) -> tuple[Tensor, Tensor]:
    """Bring steps that give several elements each, and the whole sequence's, together."""
    dim = next(d for d, n in enumerate(one.shape[1:]) if n != other.shape[d])
    joined = torch.cat(list(one), dim)
    skipped = int(late * one.shape[1:][dim])
    count = min(joined.shape[dim] - skipped, other.shape[dim])
    return joined.narrow(dim, skipped, count), other.narrow(dim, 0, count)


def _difference(one: Tensor, other: Tensor) -> float:
    if one.shape != other.shape:
        return float("inf")
    if not one.is_floating_point():
        return float((one != other).any())
    size = max(float(other.abs().max()), 1e-3) if other.numel() else 1.0
    return float((one.double() - other.double()).abs().max()) / size if other.numel() else 0.0
