"""Chained rollouts: two sessions fed the same inputs, each on its own state, compared at every
step.

One call proves nothing of a recurrent network: errors accumulate, and a mis-wired state shows only
when it is fed back. So every rollout starts from non-zero states that differ from one another, and
compares outputs and states alike. An encode graph has no state: its rollout is a row of pictures,
one a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.contract import BATCH, ENCODE, TIME, Contract, TensorSpec, next_name
from edgernn.parity.shapes import draw, fitting
from edgernn.sessions.base import Session, State

MOST_PICTURES = 16  # of one rollout of an encode graph: errors do not accumulate over pictures
_ROW_STEPS, _MANY_STEPS = 480, 16  # of several rows: rows times steps; of many rows: steps
_FEWEST_FOR_A_SLOPE = 8
_LEAST_SCALE = 1e-3  # a tensor smaller than this in every value is as good as zero


@dataclass(frozen=True)
class Plan:
    """The shape of one rollout: rows, and the T of each call, one after the other."""

    batch: int
    lengths: tuple[int, ...]

    @property
    def steps(self) -> int:
        """All time steps together."""
        return sum(self.lengths)


@dataclass(frozen=True, eq=False)
class Drift:
    """How far one tensor went from the reference.

    Attributes:
        tensor: its name in the contract.
        curve: the largest absolute difference at each call, ``[calls]``; infinite where a value is
            not finite.
        scale: the reference's largest absolute value over the rollout.
        relative: whether curve and scale are root mean squares instead of largest values, and their
            quotient is the measure; calls with larger values than ``scale`` are measured by their
            own, and brought to it.
    """

    tensor: str
    curve: np.ndarray
    scale: float
    relative: bool = False

    @property
    def worst(self) -> float:
        """The largest absolute difference."""
        return float(self.curve.max())

    @property
    def scaled(self) -> float:
        """The largest difference divided by ``scale``, or the larger of it and 1: what tolerances
        speak of.
        """
        return float(self.scaled_curve.max())

    @property
    def scaled_curve(self) -> np.ndarray:
        """The difference at each call, divided by ``scale``, or the larger of it and 1."""
        least = _LEAST_SCALE if self.relative else 1.0
        return (
            self.curve / max(least, self.scale)
            if np.isfinite(self.scale)
            else np.full_like(self.curve, np.inf)
        )

    @property
    def growth(self) -> float:
        """How the difference grows: the slope of its decimal logarithm over a hundred calls; 0
        stays as it is.
        """
        calls = np.flatnonzero((self.curve > 0) & np.isfinite(self.curve))
        if len(calls) < _FEWEST_FOR_A_SLOPE:
            return 0.0
        return float(np.polyfit(calls, np.log10(self.curve[calls]), 1)[0] * 100)

    @property
    def worst_call(self) -> int:
        """The call with the largest difference, from 0."""
        return int(self.curve.argmax())


@dataclass(frozen=True)
class Rollout:
    """The outcome of one plan: a drift per output and state.

    ``own``: how far the reference parts from itself in this run, where that is why it was judged
    step by step; see ``reordered``.
    """

    plan: Plan
    drifts: tuple[Drift, ...]
    own: float | None = None

    @property
    def worst(self) -> Drift:
        """The tensor that went furthest, by the scaled measure."""
        return max(self.drifts, key=lambda drift: drift.scaled)


def plans(session: Session, steps: int, *, seed: int) -> tuple[Plan, ...]:
    """Return the rollouts that ``session``'s file allows, with the shapes that ``seed`` draws; see
    ``shapes``.

    Single steps of one row, ``steps`` of them; where time is open one row over calls of every
    length; where the batch is open several rows over fewer steps and many over fewer still, so that
    the work stays about the same.
    """
    file_contract, drawn = session.file_contract, draw(seed)
    fixed, single_steps = file_contract.axis_size(BATCH), file_contract.axis_size(TIME) is not None
    widest = max(session.contract.sizes.values())
    if session.spec.name == ENCODE:
        counts = (
            {fixed or 1: steps}
            if fixed
            else {1: steps, drawn.several: min(steps, 4), drawn.many: 1}
        )
        return tuple(
            Plan(rows, (1,) * max(1, min(MOST_PICTURES, count))) for rows, count in counts.items()
        )
    one_by_one, rows = (1,) * steps, fixed or 1
    made = [Plan(rows, one_by_one)]
    if not single_steps:
        made.append(Plan(rows, fitting(drawn.shuffled(drawn.lengths), rows=rows, widest=widest)))
    if fixed is None:
        several = (1,) * max(1, min(steps, _ROW_STEPS // drawn.several))
        many: tuple[int, ...] = (1,) * _MANY_STEPS
        if not single_steps:
            several, many = (drawn.lengths[2], *several), drawn.shuffled(drawn.lengths[:2])
        for count, lengths in ((drawn.several, several), (drawn.many, many)):
            made.append(Plan(count, fitting(lengths, rows=count, widest=widest)))
    return tuple(made)


def compare(
    reference: Session, candidate: Session, plan: Plan, *, seed: int, forced: bool = False
) -> Rollout:
    """Run both sessions over ``plan`` from the same start, each feeding back its own state.

    ``forced`` starts each call of the candidate from the reference's state, and measures relative
    errors.
    """
    feed = random_feed(reference, batch=plan.batch, steps=plan.steps, seed=seed)
    expected = run(reference, feed, lengths=plan.lengths)
    if not forced:
        return Rollout(
            plan, drifts(zip(expected, run(candidate, feed, lengths=plan.lengths), strict=True))
        )
    return Rollout(
        plan, drifts(forced_pairs(candidate, feed, expected, lengths=plan.lengths), relative=True)
    )


def forced_pairs(
    candidate: Session,
    feed: Feed,
    expected: Iterable[dict[str, np.ndarray]],
    *,
    lengths: Sequence[int],
) -> Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Yield what was expected of each call and what ``candidate`` makes of it, from the state
    expected before the call.

    A state is compared layer by layer: an error in one of three would be small in all of them
    together.
    """
    states, at = [state.name for state in candidate.contract.step.states], 0
    for wanted, length in zip(expected, lengths, strict=True):
        inputs = {name: array[:, at : at + length] for name, array in feed.inputs.items()}
        (made,) = run(candidate, Feed(inputs, feed.contexts, feed.state), lengths=(length,))
        yield _by_layer(wanted, states), _by_layer(made, states)
        at += length
        if candidate.spec.name != ENCODE:
            feed = Feed(
                feed.inputs, feed.contexts, {name: wanted[next_name(name)] for name in states}
            )


@dataclass(frozen=True, eq=False)
class Feed:
    """What goes into one run: fresh inputs ``[B, N, …]`` of N steps or pictures, contexts, the
    state before the first.
    """

    inputs: dict[str, np.ndarray]
    contexts: dict[str, np.ndarray]
    state: State


def random_feed(session: Session, *, batch: int, steps: int, seed: int) -> Feed:
    """Return a random feed for the graph of ``session``: every tensor and row its own values, the
    same for a seed.
    """
    contract = session.contract
    if session.spec.name == ENCODE:
        return Feed(random_pictures(contract, batch=batch, count=steps, seed=seed), {}, {})
    return Feed(
        random_inputs(contract, batch=batch, steps=steps, seed=seed),
        _random_floats(contract.step.contexts, contract, batch=batch, seed=seed + 2),
        random_state(contract, batch=batch, seed=seed + 1),
    )


def run(session: Session, feed: Feed, *, lengths: Sequence[int]) -> Iterator[dict[str, np.ndarray]]:
    """Run the graph of ``session`` over ``feed``, a step graph in calls of ``lengths``; yield every
    output by name.
    """
    if session.spec.name == ENCODE:
        for at in range(len(lengths)):
            yield encoded(session, {name: array[:, at] for name, array in feed.inputs.items()})
        return
    state, at = feed.state, 0
    for length in lengths:
        fresh = {name: array[:, at : at + length] for name, array in feed.inputs.items()}
        outputs, state = session.step({**fresh, **feed.contexts}, state)
        at += length
        yield {**outputs, **{next_name(name): array for name, array in state.items()}}


def encoded(session: Session, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return every output of an encode graph by name."""
    contexts, state = session.encode(inputs)
    given = session.contract.starting(ENCODE)
    return {**contexts, **{tensor.name: state[tensor.name] for tensor in given}}


def _by_layer(tensors: dict[str, np.ndarray], states: Sequence[str]) -> dict[str, np.ndarray]:
    """Put each layer of each next state ``[L, B, H]`` of a step's results in the place of the
    state.
    """
    apart = [next_name(name) for name in states if next_name(name) in tensors]
    layers = {
        f"{name}[{layer}]": array for name in apart for layer, array in enumerate(tensors[name])
    }
    return {name: array for name, array in tensors.items() if name not in apart} | layers


def drifts(
    pairs: Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]], *, relative: bool = False
) -> tuple[Drift, ...]:
    """Compare named tensors call by call; the first of each pair is the reference. See ``Drift``
    for ``relative``.
    """
    curves: dict[str, list[float]] = {}
    sizes: dict[str, list[float]] = {}
    size: Callable[[np.ndarray], float] = _root_mean_square if relative else _largest
    for expected, found in pairs:
        for name, reference in expected.items():
            curves.setdefault(name, []).append(_difference(reference, found[name], size))
            sizes.setdefault(name, []).append(size(reference))
    return tuple(
        _drift(name, np.array(curve), np.array(sizes[name]), relative)
        for name, curve in curves.items()
    )


def _drift(name: str, curve: np.ndarray, sizes: np.ndarray, relative: bool) -> Drift:
    """Make a drift of differences and of the reference's sizes, both by call."""
    if not relative:
        return Drift(name, curve, _largest(sizes))
    scale = _root_mean_square(sizes)
    with np.errstate(invalid="ignore", divide="ignore"):
        larger = np.where(
            sizes > scale, scale / sizes, 1
        )  # a state that grows is measured by its own size
    return Drift(name, curve * larger, scale, relative=True)


def random_inputs(
    contract: Contract, *, batch: int, steps: int, seed: int
) -> dict[str, np.ndarray]:
    """Return every caller's input for ``steps`` steps: ids drawn evenly from their range, ``[B,
    N]`` int64.
    """
    random = np.random.default_rng(seed)
    return {
        spec.name: random.integers(
            0, contract.sizes[spec.below or ""], (batch, steps), dtype=np.int64
        )
        for spec in contract.step.fresh_inputs
    }


def random_pictures(
    contract: Contract, *, batch: int, count: int, seed: int
) -> dict[str, np.ndarray]:
    """Return an encode graph's inputs: ``[B, count, height, width, channels]`` uint8.

    Each picture is coarse patches, as objects are, under fine noise; the first is black and the
    second white.
    """
    random = np.random.default_rng(seed)
    pictures = {}
    for spec in contract.graph(ENCODE).fresh_inputs:
        height, width, channels = (contract.sizes[axis] for axis in spec.axes[1:])
        coarse = random.uniform(0, 255, (batch, count, 4, 4, channels))
        rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
        patches = coarse[:, :, rows][:, :, :, columns]  # [B, count, height, width, channels]
        noisy = patches + random.normal(0, 24, patches.shape)
        noisy[:, :1], noisy[:, 1:2] = 0, 255
        pictures[spec.name] = np.clip(np.round(noisy), 0, 255).astype(spec.dtype)
    return pictures


def random_state(contract: Contract, *, batch: int, seed: int) -> State:
    """Return a state drawn evenly from (-0.5, 0.5), every tensor and row its own values."""
    return _random_floats(contract.step.states, contract, batch=batch, seed=seed)


def _random_floats(
    specs: Iterable[TensorSpec], contract: Contract, *, batch: int, seed: int
) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    sizes = {**contract.sizes, BATCH: batch}
    return {
        spec.name: random.uniform(-0.5, 0.5, [sizes[axis] for axis in spec.axes]).astype(spec.dtype)
        for spec in specs
    }


def _difference(
    expected: np.ndarray, found: np.ndarray, size: Callable[[np.ndarray], float]
) -> float:
    if expected.shape != found.shape or not (
        np.isfinite(expected).all() and np.isfinite(found).all()
    ):
        return float("inf")
    with np.errstate(over="ignore"):  # what is too far apart for float32 is infinitely far
        return size(np.subtract(expected, found, dtype=np.result_type(expected, np.float32)))


def _largest(array: np.ndarray) -> float:
    return max(float(array.max()), -float(array.min()))  # a NaN stays one; nothing is copied


def _root_mean_square(array: np.ndarray) -> float:
    flat = array.ravel()
    return float(np.sqrt(np.einsum("i,i->", flat, flat, dtype=np.float64) / flat.size))
