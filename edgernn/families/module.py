"""Any network with a contract: what needs nothing but the contract, and the default family.

A recorded sample holds one tensor per fresh input of the step, in the contract's axes with one
row: N frames along time, an input without time once. Where no input has time, the N values lie
along a first axis: ``[N, *axes]``. Inputs of an encode graph are there once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgernn.contract import BATCH, TIME, Contract, TensorSpec
from edgernn.errors import ContractError
from edgernn.families.base import Family, Feed, Sample
from edgernn.families.loss import log_probabilities
from edgernn.sessions.base import Arrays
from edgernn.sessions.draw import drawn_inputs
from edgernn.sessions.model import Model

_CALIBRATION, _FEWEST_CALIBRATION = 1024, 32  # steps
_DRAWN = 256  # steps, where no sample was recorded
_LEAST_SIZE = 1e-3  # an output smaller than this is as good as zero
_OPEN = 5  # the size of an axis that encode chooses, where it is drawn


@dataclass(frozen=True)
class OutputLoss:
    """How far outputs of a chained run are from the reference's, each side on its own state.

    Attributes:
        steps: of the run.
        error: root mean square of the difference, divided by that of the reference's values, or
            by 1e-3 where they are smaller; of the output where it is largest.
        output: the name of that one.
        mean_kl: KL(reference ‖ candidate) in nats a step, where an output is scores of ids.
        top1: the share of steps whose most probable id is the same; likewise.
    """

    steps: int
    error: float
    output: str
    mean_kl: float | None = None
    top1: float | None = None

    def measured(self) -> dict[str, Any]:
        """Return every figure by name, for a report."""
        return asdict(self)


class ModuleFamily(Family):
    """Any network; a word that nobody knows means it too."""

    word = "module"
    noun = "network"
    layout = "one tensor per input of the contract, one row, its frames along time"
    unit = "step"

    def sample_problem(self, sample: Sample, contract: Contract) -> str:
        """See ``Family.sample_problem``."""
        wanted = {spec.name: spec for graph in contract.graphs for spec in graph.fresh_inputs}
        if sample.keys() != wanted.keys():
            return f"{sorted(sample)}, expected the inputs {sorted(wanted)}"
        problems = (_tensor_problem(spec, sample[name], contract) for name, spec in wanted.items())
        return next(filter(None, problems), "") or _length_problem(sample, contract)

    def count(self, sample: Sample, contract: Contract) -> int:
        """See ``Family.count``."""
        return steps_in(sample, contract)

    def drawn(self, contract: Contract, *, seed: int) -> Sample:
        """See ``Family.drawn``: as ``sessions.draw`` makes them, in one run."""
        sizes, made = dict.fromkeys(contract.open_axes, _OPEN), dict[str, np.ndarray]()
        for place, graph in enumerate(contract.graphs):
            steps = 1 if graph.once else _DRAWN
            drawn = drawn_inputs(graph, contract, sizes, batch=1, steps=steps, seed=(seed, place))
            made |= {name: array[0] for name, array in drawn.items()} if graph.once else drawn
        return made

    def spared(self, sample: Sample, contract: Contract) -> Sample | None:
        """See ``Family.spared``: the end of the run."""
        steps = steps_in(sample, contract)
        if steps < 2 * _FEWEST_CALIBRATION:
            return None
        return _part(sample, contract, steps - min(_CALIBRATION, steps // 2), steps)

    def calls(self, model: Model, sample: Sample) -> Iterator[Arrays]:
        """See ``Family.calls``."""
        contexts, state = _begun(model, sample)
        for place in range(steps_in(sample, model.contract)):
            inputs = {**step_inputs(sample, model.contract, place), **contexts}
            yield {**inputs, **state}
            _, state = model.step(inputs, state)

    def loss(self, reference: Model, candidate: Model, sample: Sample) -> OutputLoss:
        """See ``Family.loss``."""
        contract, scores = reference.contract, reference.contract.step.scores
        (contexts, state), (others, other) = (_begun(m, sample) for m in (reference, candidate))
        steps, divergences, same = steps_in(sample, contract), list[float](), list[bool]()
        squares = {spec.name: np.zeros(3) for spec in contract.step.read_outputs}
        for place in range(steps):
            inputs = step_inputs(sample, contract, place)
            expected, state = reference.step({**inputs, **contexts}, state)
            found, other = candidate.step({**inputs, **others}, other)
            for name, total in squares.items():
                p, q = (np.asarray(made[name], np.float64) for made in (expected, found))
                now = [np.square(q - p).sum(), np.square(p).sum(), p.size]
                squares[name] = total + np.array(now)
            if scores is not None:
                kl, agreed = _compared(expected[scores.name], found[scores.name])
                divergences += kl
                same += agreed
        return _output_loss(steps, squares, divergences, same)

    def feed(self, contract: Contract, sample: Sample | None, *, seed: int) -> Feed:
        """See ``Family.feed``."""
        source = "the bundle's recorded inputs"
        if sample is None:
            sample, source = self.drawn(contract, seed=seed), f"random inputs, seed {seed}"
        calls = [
            step_inputs(sample, contract, place) for place in range(steps_in(sample, contract))
        ]
        step = {name: np.stack([call[name] for call in calls]) for name in calls[0]}
        names = [] if contract.encode is None else contract.encode.fresh_inputs
        return Feed({spec.name: sample[spec.name][None] for spec in names}, step, source)


def steps_in(sample: Sample, contract: Contract) -> int:
    """Return how many steps ``sample`` holds."""
    step = contract.step
    for spec in step.fresh_inputs:
        if not step.has_time:
            return len(sample[spec.name])
        if (place := spec.axis(TIME)) is not None:
            return int(sample[spec.name].shape[place]) // contract.step_frames
    return 0


def step_inputs(sample: Sample, contract: Contract, place: int) -> dict[str, np.ndarray]:
    """Return the fresh inputs of the step ``place`` of ``sample``."""
    step, frames = contract.step, contract.step_frames
    made = {}
    for spec in step.fresh_inputs:
        array, along = sample[spec.name], spec.axis(TIME)
        if not step.has_time:
            array = array[place]
        elif along is not None:
            array = np.take(array, range(place * frames, (place + 1) * frames), axis=along)
        made[spec.name] = array
    return made


def _part(sample: Sample, contract: Contract, first: int, last: int) -> Sample:
    step, frames, made = contract.step, contract.step_frames, dict(sample)
    for spec in step.fresh_inputs:
        along = spec.axis(TIME)
        if not step.has_time:
            made[spec.name] = sample[spec.name][first:last]
        elif along is not None:
            where = range(first * frames, last * frames)
            made[spec.name] = np.take(sample[spec.name], where, axis=along)
    return made


def _begun(model: Model, sample: Sample) -> tuple[Arrays, Arrays]:
    specs = () if model.encode is None else model.encode.spec.fresh_inputs
    return model.begin({spec.name: sample[spec.name] for spec in specs})


def _tensor_problem(spec: TensorSpec, array: np.ndarray, contract: Contract) -> str:
    leads = 0 if contract.step.has_time or spec not in contract.step.fresh_inputs else 1
    shape = array.shape[leads:]
    wanted = {**contract.sizes, BATCH: 1}
    wanted.pop(TIME, None)
    fits = len(shape) == len(spec.axes) and all(
        size == wanted.get(axis, size) and size for axis, size in zip(spec.axes, shape, strict=True)
    )
    if array.dtype != spec.dtype or not fits or (leads and not len(array)):
        axes = ", ".join(["N"] * leads + [str(wanted.get(axis, axis)) for axis in spec.axes])
        return f"{spec.name} {array.dtype} {list(array.shape)}, expected {spec.dtype} [{axes}]"
    if spec.below is not None and ((array < 0) | (array >= contract.sizes[spec.below])).any():
        return f"{spec.name} with ids that are not 0 to {contract.sizes[spec.below] - 1}"
    if spec.kind == "f" and not np.isfinite(array).all():
        return f"{spec.name} with a value that is not finite"
    return ""


def _length_problem(sample: Sample, contract: Contract) -> str:
    step, frames = contract.step, contract.step_frames
    places = [(spec.name, spec.axis(TIME) if step.has_time else 0) for spec in step.fresh_inputs]
    lengths = {name: sample[name].shape[at] for name, at in places if at is not None}
    if len(set(lengths.values())) != 1 or (step.has_time and min(lengths.values()) % frames):
        return f"frames of {lengths}, expected the same multiple of {frames} of each"
    return ""


def _compared(p: np.ndarray, q: np.ndarray) -> tuple[list[float], list[bool]]:
    """Return the divergence of each position, and whether the most probable id is the same."""
    p, q = (array.reshape(-1, array.shape[-1]) for array in (p, q))  # [n, V]
    with np.errstate(invalid="ignore"):  # what is not finite is refused with the outputs
        log_p, log_q = log_probabilities(p), log_probabilities(q)
        kl = (np.exp(log_p) * (log_p - log_q)).sum(1)
    return np.maximum(kl, 0).tolist(), (p.argmax(1) == q.argmax(1)).tolist()


def _output_loss(
    steps: int, squares: dict[str, np.ndarray], divergences: list[float], same: list[bool]
) -> OutputLoss:
    if not steps:
        raise ContractError("the sample holds no step; record one, or leave it out")
    if spoilt := [name for name, total in squares.items() if not np.isfinite(total).all()]:
        raise ContractError(
            f"{spoilt[0]} has values that are not finite, of the artifact or the reference; train "
            "or export it again"
        )
    errors = {
        name: float(np.sqrt(away / count) / max(np.sqrt(own / count), _LEAST_SIZE))
        for name, (away, own, count) in squares.items()
    }
    worst = max(errors, key=lambda name: errors[name])
    if not same:
        return OutputLoss(steps, errors[worst], worst)
    return OutputLoss(
        steps, errors[worst], worst, float(np.mean(divergences)), float(np.mean(same))
    )
