"""The proof that a step is the file that it was made of: chained frames, chunks and rows against
the file's own run over the whole sequence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgernn.contract import BATCH, TIME
from edgernn.errors import ContractError, UsageError
from edgernn.hoisting.onnx.driving import FileRun, StepRun
from edgernn.hoisting.onnx.running import Arrays
from edgernn.hoisting.onnx.step import ForeignStep

TOLERANCE = 1e-4  # scaled, as float32 promises it
STEPS = 256
_ROWS = 3
_LARGE, _FEWER = 1 << 20, 64  # weights of a file whose run over every number of frames is dear
_CHUNKS = (1, 5, 2, 11, 3, 1, 8)
_SHORT = 24  # frames of the run that is cut into chunks and rows


@dataclass(frozen=True)
class Proof:
    """What was measured: calls, the largest scaled difference, and the tensor that had it."""

    steps: int
    worst: float
    tensor: str


def prove(step: ForeignStep, *, steps: int = STEPS, seed: int = 0) -> Proof:
    """Run the file and the step made of it beside each other.

    Raises:
        UsageError: they are not the same, so the file is no step of this state; says where.
        ContractError: one of them does not run.
    """
    file, made = FileRun(step), StepRun(step)
    weights = sum(math.prod(tensor.dims) for tensor in step.original.graph.initializer)
    if step.by_prefix and weights > _LARGE:
        steps = min(steps, _FEWER)
    random = np.random.default_rng(seed)
    batch = _ROWS if file.is_open(BATCH) else 1
    inputs = file.draw(random, steps, batch)
    whole = file.run(inputs, steps)
    found = [("in single steps", _compared(whole, made.run(inputs, [1] * steps)))]
    short, cut = file.first(inputs, _SHORT), file.first(whole, _SHORT)
    if file.is_open(TIME):
        lengths = list(_cut(_SHORT))
        found.append(("in chunks", _compared(cut, made.run(short, lengths))))
    if batch > 1:
        alone = made.run(file.row(short), [1] * _SHORT)
        found.append(("a row alone", _compared(file.row(cut), alone)))
    for words, (tensor, worst) in found:
        if not worst <= TOLERANCE:
            raise UsageError(_unlike(step, file, inputs, words, tensor, worst))
    tensor, worst = max((pair for _, pair in found), key=lambda pair: pair[1])
    return Proof(steps, worst, tensor)


def _cut(frames: int) -> Iterator[int]:
    place = 0
    while frames:
        length = min(_CHUNKS[place % len(_CHUNKS)], frames)
        yield length
        frames, place = frames - length, place + 1


def _compared(wanted: Arrays, found: Arrays) -> tuple[str, float]:
    """Return the tensor that is furthest away, and how far, scaled."""
    far = {}
    for name, array in wanted.items():
        if array.shape != found[name].shape:
            return name, float("inf")
        left, right = array.astype(np.float64), found[name].astype(np.float64)
        scale = max(1.0, float(np.abs(left).max(initial=0)))
        worst = float(np.abs(left - right).max(initial=0)) / scale
        far[name] = worst if np.isfinite(worst) else float("inf")
    worst_name = max(far, key=lambda name: far[name])
    return worst_name, far[worst_name]


def _unlike(
    step: ForeignStep, file: FileRun, inputs: Arrays, words: str, tensor: str, worst: float
) -> str:
    """Say that the step is not the file, and why where that can be told."""
    told = f"{tensor} differs by {worst:.1e} from the file's own run when it is run {words}"
    if words != "in single steps":
        return f"the file is no step: {told}; rows or cuts in time are not independent in it"
    if step.by_prefix:
        return (
            f"the file is no step: {told}; what it gives after some frames is made of more than a "
            "state and the last of them"
        )
    if not file.is_open(TIME):
        return f"the step is not the file: {told}; is a state paired wrongly? Say it with --state"
    try:
        early, whole = file.run(file.first(inputs, _SHORT), _SHORT), file.run(inputs, STEPS)
    except ContractError:
        return f"the step is not the file: {told}"
    if _compared(file.first(whole, _SHORT), early)[1] > TOLERANCE:
        return (
            f"the file needs the future, so there is no step: {told}, and what it gives at a frame "
            "changes with the frames after it"
        )
    source = next(iter(file.names.values()))
    return (
        "the file looks at frames before that are no state, or does something anew at every call: "
        f"{told}; say how many frames before it needs, as --left-context {source}=64"
    )
