"""Models that are asked one thing of each of many examples: which label a sequence has, or each
step of one.

A held-out sample holds N examples: every fresh input of the contract with a leading N in place of
``batch``, those of the step ``[N, T, …]``, padded with zeros where a sequence is shorter;
``lengths [N]`` int64, the steps of each, 1 to T; and what is wanted, ``target`` int64: ``[N]``
where the last step answers, ``[N, T]`` where every step does, -1 where nothing is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from edgernn.contract import BATCH, TIME, Contract, GraphSpec, TensorSpec
from edgernn.errors import ContractError
from edgernn.families.base import Family, Feed, Sample
from edgernn.families.loss import TextLoss, compare
from edgernn.sessions.base import Arrays
from edgernn.sessions.draw import drawn_inputs
from edgernn.sessions.model import Model

LENGTHS, TARGET = "lengths", "target"  # of a held-out sample, beside the inputs
NOTHING = -1  # a target where nothing is asked
_CALIBRATION, _FEWEST_CALIBRATION = 64, 8  # examples
_POSITIONS = 2048  # at most about so many are compared
_ROWS = 64  # examples run together
_DRAWN = 256  # steps, where there is no sample
_OPEN = 5  # the size of an axis that encode chooses, where it is drawn


class ExamplesFamily(Family):
    """A model whose first output ``[B, T, C]`` is scores of C labels; subclasses say of which step.

    Attributes:
        each_step: whether every step has a target, else the last one of a sequence alone.
    """

    each_step: ClassVar[bool] = False
    predicts = True
    unit = "step"

    def problem(self, contract: Contract) -> str:
        """See ``Family.problem``."""
        scores = contract.step.read_outputs[0]
        if scores.dtype != "float32" or scores.axes[:2] != (BATCH, TIME) or len(scores.axes) != 3:
            return (
                f"step gives {scores.name} {scores.dtype} [{', '.join(scores.axes)}] first, "
                "expected scores of labels, float32 [batch, time, ·]"
            )
        strange = next((t for t in contract.step.fresh_inputs if t.axes[:2] != (BATCH, TIME)), None)
        if strange is None:
            return ""
        return f"{strange.name} has the axes {list(strange.axes)}, expected batch and time first"

    def sample_problem(self, sample: Sample, contract: Contract) -> str:
        """See ``Family.sample_problem``."""
        specs = inputs_of(contract)
        wanted = {*specs, LENGTHS, TARGET}
        if sample.keys() != wanted:
            return f"{sorted(sample)}, expected {sorted(wanted)}"
        count, lengths = len(sample[TARGET]), sample[LENGTHS]
        if not count or lengths.shape != (count,) or lengths.dtype != "int64":
            return f"{LENGTHS} {lengths.dtype} {list(lengths.shape)}, expected int64 [{count}]"
        problems = (_input_problem(spec, sample[name], contract) for name, spec in specs.items())
        if problem := next(filter(None, problems), ""):
            return problem
        if strange := next((name for name in specs if len(sample[name]) != count), ""):
            return f"{len(sample[strange])} rows of {strange} and {count} targets"
        steps = {sample[spec.name].shape[1] for spec in contract.step.fresh_inputs}
        if len(steps) != 1 or lengths.min() < 1 or lengths.max() > min(steps):
            return f"{LENGTHS} {lengths.min()} to {lengths.max()} of {sorted(steps)} steps"
        return self._target_problem(sample, contract, min(steps))

    def _target_problem(self, sample: Sample, contract: Contract, steps: int) -> str:
        target, labels = sample[TARGET], labels_in(contract)
        shape = (len(target), steps) if self.each_step else (len(target),)
        if target.dtype != "int64" or target.shape != shape:
            return f"{TARGET} {target.dtype} {list(target.shape)}, expected int64 {list(shape)}"
        if target.min() < NOTHING or target.max() >= labels:
            return f"{TARGET} {target.min()} to {target.max()}, expected 0 to {labels - 1}"
        return ""

    def count(self, sample: Sample, contract: Contract) -> int:
        """See ``Family.count``."""
        return int(self.asked(sample).sum())

    def asked(self, sample: Sample) -> np.ndarray:
        """Return where something is asked, bool ``[N, T]`` up to the longest sequence."""
        lengths, target = sample[LENGTHS], sample[TARGET]
        steps = np.arange(int(lengths.max()))  # [T]
        if self.each_step:
            found: np.ndarray = (steps < lengths[:, None]) & (target[:, : len(steps)] != NOTHING)
        else:
            found = (steps == lengths[:, None] - 1) & (target != NOTHING)[:, None]
        return found

    def spared(self, sample: Sample, contract: Contract) -> Sample | None:
        """See ``Family.spared``."""
        if len(sample[TARGET]) < 2 * _FEWEST_CALIBRATION:
            return None
        count = min(_CALIBRATION, len(sample[TARGET]) // 2)
        return {name: array[-count:] for name, array in sample.items()}

    def calls(self, model: Model, sample: Sample) -> Iterator[Arrays]:
        """See ``Family.calls``: one step of all examples a call."""
        for fed, state, _, _ in run_together(model, sample, rows=_ROWS):
            yield {**fed, **state}

    def loss(self, reference: Model, candidate: Model, sample: Sample) -> TextLoss:
        """See ``Family.loss``: what each loses of the targets."""
        rows = reference.rows or candidate.rows or _ROWS
        asked, count = self.asked(sample), len(sample[TARGET])
        enough = int(np.searchsorted(asked.sum(1).cumsum(), _POSITIONS)) + 1
        some = {name: array[: min(enough, count)] for name, array in sample.items()}
        predicted = (self._scores(model, some, rows) for model in (reference, candidate))
        wanted = (target for _, target in self._wanted(some, rows))
        parts = list(zip(*predicted, wanted, strict=True))
        if not parts:
            raise ContractError("the held-out sample asks for nothing; export the bundle again")
        return compare(parts)

    def _scores(self, model: Model, sample: Sample, rows: int) -> Iterator[np.ndarray]:
        scores, wanted = model.contract.step.read_outputs[0].name, dict(self._wanted(sample, rows))
        for place, (_, _, outputs, at) in enumerate(run_together(model, sample, rows=rows)):
            if place in wanted:
                keep = self.asked(sample)[at[0] : at[0] + rows, at[1]]
                yield outputs[scores][keep, -1]

    def _wanted(self, sample: Sample, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the place of each call of ``run_together`` that is asked for something, and the
        targets of those rows.
        """
        asked, target = self.asked(sample), sample[TARGET]
        for place, (first, t) in enumerate(_places(sample, rows)):
            keep = asked[first : first + rows, t]
            own = target[first : first + rows]
            if keep.any():
                yield place, own[keep, t] if self.each_step else own[keep]

    def feed(self, contract: Contract, sample: Sample | None, *, seed: int) -> Feed:
        """See ``Family.feed``."""
        if sample is not None:
            inside = np.arange(int(sample[LENGTHS].max())) < sample[LENGTHS][:, None]  # [N, T]
            step = {
                spec.name: sample[spec.name][:, : inside.shape[1]][inside][:, None, None]
                for spec in contract.step.fresh_inputs
            }
            encode = {spec.name: sample[spec.name][:, None] for spec in _encode_inputs(contract)}
            return Feed(encode, step, "the bundle's held-out examples")
        sizes, made = dict.fromkeys(contract.open_axes, _OPEN), dict[str, np.ndarray]()
        for place, graph in enumerate(contract.graphs):
            steps = 1 if graph.once else _DRAWN
            made |= drawn_inputs(graph, contract, sizes, batch=1, steps=steps, seed=(seed, place))
        step = {
            spec.name: np.swapaxes(made[spec.name], 0, 1)[:, :, None]
            for spec in contract.step.fresh_inputs
        }
        encode = {spec.name: made[spec.name] for spec in _encode_inputs(contract)}
        return Feed(encode, step, f"random inputs, seed {seed}")


def inputs_of(contract: Contract) -> dict[str, TensorSpec]:
    """Return every fresh input of both graphs by name."""
    return {spec.name: spec for graph in contract.graphs for spec in graph.fresh_inputs}


def labels_in(contract: Contract) -> int:
    """Return how many labels the first output of the step scores."""
    return contract.sizes[contract.step.read_outputs[0].axes[-1]]


Run = tuple[dict[str, np.ndarray], Arrays, Arrays, tuple[int, int]]


def run_together(model: Model, sample: Sample, *, rows: int) -> Iterator[Run]:
    """Run the examples of ``sample`` from their beginning, ``rows`` at a time and one step a call,
    each group to the end of its longest.

    Yields:
        What the step was fed beside the state, by name; the state before; its outputs; and the
        first example of the group with the step's number.
    """
    step, encode = model.contract.step, _encode_inputs(model.contract)
    contexts, state = dict[str, np.ndarray](), dict[str, np.ndarray]()
    for first, t in _places(sample, rows):
        group = slice(first, first + rows)
        if not t:
            seen = {spec.name: sample[spec.name][group] for spec in encode}
            count = len(sample[LENGTHS][group])
            contexts, state = map(dict, model.begin(seen, batch=count))
        fed = {spec.name: sample[spec.name][group, t : t + 1] for spec in step.fresh_inputs}
        outputs, after = model.step({**fed, **contexts}, state)
        yield {**fed, **contexts}, state, outputs, (first, t)
        state = dict(after)


def _places(sample: Sample, rows: int) -> Iterator[tuple[int, int]]:
    lengths = sample[LENGTHS]
    for first in range(0, len(lengths), rows):
        for t in range(int(lengths[first : first + rows].max())):
            yield first, t


def _encode_inputs(contract: Contract) -> tuple[TensorSpec, ...]:
    graph: GraphSpec | None = contract.encode
    return () if graph is None else graph.fresh_inputs


def _input_problem(spec: TensorSpec, array: np.ndarray, contract: Contract) -> str:
    wanted = [contract.sizes.get(axis) for axis in spec.axes if axis != TIME]
    found = [n for axis, n in zip(spec.axes, array.shape, strict=False) if axis != TIME]
    fits = array.ndim == len(spec.axes) and all(
        size is None or size == own for size, own in zip(wanted[1:], found[1:], strict=True)
    )
    if array.dtype != spec.dtype or not fits:
        axes = ", ".join(["N", *(str(contract.sizes.get(a, a)) for a in spec.axes[1:])])
        return f"{spec.name} {array.dtype} {list(array.shape)}, expected {spec.dtype} [{axes}]"
    if spec.below is not None and ((array < 0) | (array >= contract.sizes[spec.below])).any():
        return f"{spec.name} with ids that are not 0 to {contract.sizes[spec.below] - 1}"
    if spec.kind == "f" and not np.isfinite(array).all():
        return f"{spec.name} with a value that is not finite"
    return ""
