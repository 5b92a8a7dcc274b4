"""Models that make a picture step by step from noise and a label (Gregor et al. 2015,
https://arxiv.org/abs/1502.04623): ``encode`` takes the label, each step noise, and what is painted
so far is state and output.

A held-out sample holds N pictures to paint: ``label [N]`` and ``noise [N, T, Z]``, as many steps as
the model was trained with.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgernn.contract import BATCH, HEIGHT, TIME, WIDTH, Contract
from edgernn.errors import ContractError
from edgernn.families.base import Family, Feed, Sample
from edgernn.families.module import OutputLoss
from edgernn.sessions.base import Arrays
from edgernn.sessions.model import Model

LABEL, NOISE = "label", "noise"  # what encode and the step are given
PICTURE, CANVAS = "picture", "canvas"  # what the step gives, and its state
CLASSES = "classes"  # below which labels are
STEPS = 8  # of a picture, where nothing says otherwise
_CALIBRATION, _FEWEST_CALIBRATION = 64, 8  # pictures
_ROWS, _DRAWN = 32, 32  # pictures painted together; made up where there is no sample
_LEAST_SIZE = 1e-3  # a picture darker than this is as good as black


class PainterFamily(Family):
    """Painters."""

    word = "painter"
    noun = "painter"
    layout = "label int64 [N] and noise float32 [N, T, Z]"
    unit = "step"
    command = "paint"
    arguments = " --label LABEL"
    about = "a painter, it makes a picture of a label"
    task = "unconditional-image-generation"

    def problem(self, contract: Contract) -> str:
        """See ``Family.problem``."""
        encode, step = contract.encode, contract.step
        if encode is None or [spec.name for spec in encode.inputs] != [LABEL]:
            return f"it has no encode graph that takes a {LABEL} alone"
        if encode.inputs[0].below is None or encode.inputs[0].axes != (BATCH,):
            return f"its {LABEL} is [{', '.join(encode.inputs[0].axes)}], expected ids [batch]"
        if [(spec.name, spec.axes[:2]) for spec in step.fresh_inputs] != [(NOISE, (BATCH, TIME))]:
            return f"step takes {[t.name for t in step.fresh_inputs]}, expected {NOISE} alone"
        pictures = [s for s in step.read_outputs if s.name == PICTURE]
        if not pictures or pictures[0].axes != (BATCH, TIME, HEIGHT, WIDTH):
            return f"step gives no {PICTURE} [batch, time, height, width]"
        return ""

    def sample_problem(self, sample: Sample, contract: Contract) -> str:
        """See ``Family.sample_problem``."""
        if sample.keys() != {LABEL, NOISE}:
            return f"{sorted(sample)}, expected [{LABEL}, {NOISE}]"
        label, noise, classes = sample[LABEL], sample[NOISE], _classes(contract)
        if label.dtype != "int64" or label.ndim != 1 or not label.size:
            return f"{LABEL} {label.dtype} {list(label.shape)}, expected int64 [N]"
        if label.min() < 0 or label.max() >= classes:
            return f"{LABEL} {label.min()} to {label.max()}, expected 0 to {classes - 1}"
        width = _width(contract)
        fits = noise.ndim == 3 and noise.shape[0] == len(label) and noise.shape[2] == width
        if noise.dtype != "float32" or not fits or not noise.size:
            told = f"{NOISE} {noise.dtype} {list(noise.shape)}"
            return f"{told}, expected float32 [{len(label)}, T, {width}]"
        return "" if np.isfinite(noise).all() else f"{NOISE} with a value that is not finite"

    def count(self, sample: Sample, contract: Contract) -> int:
        """See ``Family.count``: steps."""
        return int(sample[NOISE].shape[0] * sample[NOISE].shape[1])

    def drawn(self, contract: Contract, *, seed: int) -> Sample:
        """See ``Family.drawn``: labels in turns."""
        shape = (_DRAWN, STEPS, _width(contract))
        noise = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
        return {LABEL: np.arange(_DRAWN, dtype=np.int64) % _classes(contract), NOISE: noise}

    def spared(self, sample: Sample, contract: Contract) -> Sample | None:
        """See ``Family.spared``: the last pictures."""
        if len(sample[LABEL]) < 2 * _FEWEST_CALIBRATION:
            return None
        count = min(_CALIBRATION, len(sample[LABEL]) // 2)
        return {name: array[-count:] for name, array in sample.items()}

    def calls(self, model: Model, sample: Sample) -> Iterator[Arrays]:
        """See ``Family.calls``."""
        for fed, state, _, _ in _painted(model, sample, _ROWS):
            yield {**fed, **state}

    def loss(self, reference: Model, candidate: Model, sample: Sample) -> OutputLoss:
        """See ``Family.loss``: how far the pictures are apart after every step."""
        rows = reference.rows or candidate.rows or _ROWS
        away, own, steps, values = 0.0, 0.0, 0, 0
        runs = (_painted(model, sample, rows) for model in (reference, candidate))
        for (_, _, expected, count), (_, _, found, _) in zip(*runs, strict=True):
            p, q = (np.asarray(made[PICTURE], np.float64) for made in (expected, found))
            away, own = away + np.square(q - p).sum(), own + np.square(p).sum()
            steps, values = steps + count, values + p.size
        if not np.isfinite(away):
            raise ContractError(
                f"{PICTURE} has values that are not finite, of the artifact or the reference; "
                "train or export it again"
            )
        size = max(float(np.sqrt(own / values)), _LEAST_SIZE)
        return OutputLoss(steps, float(np.sqrt(away / values)) / size, PICTURE)

    def feed(self, contract: Contract, sample: Sample | None, *, seed: int) -> Feed:
        """See ``Family.feed``."""
        source = "the bundle's held-out labels and noise"
        if sample is None:
            sample, source = self.drawn(contract, seed=seed), f"random noise, seed {seed}"
        noise = sample[NOISE].reshape(-1, 1, 1, _width(contract))
        return Feed({LABEL: sample[LABEL][:, None]}, {NOISE: noise}, source)


def _painted(
    model: Model, sample: Sample, rows: int
) -> Iterator[tuple[dict[str, np.ndarray], Arrays, Arrays, int]]:
    """Paint the pictures of ``sample``, ``rows`` at a time and a step a call; yield what the step
    was fed beside the state, the state before, its outputs, and how many pictures it was.
    """
    for first in range(0, len(sample[LABEL]), rows):
        group = slice(first, first + rows)
        labels = sample[LABEL][group]
        contexts, state = model.begin({LABEL: labels}, batch=len(labels))
        for t in range(sample[NOISE].shape[1]):
            fed = {NOISE: sample[NOISE][group, t : t + 1], **contexts}
            outputs, after = model.step(fed, state)
            yield fed, state, outputs, len(labels)
            state = dict(after)


def _classes(contract: Contract) -> int:
    assert contract.encode is not None
    return contract.sizes[contract.encode.inputs[0].below or CLASSES]


def _width(contract: Contract) -> int:
    return contract.sizes[contract.step.fresh_inputs[0].axes[-1]]
