"""From pictures with labels to the examples of a painter: digits, or the user's own pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from pydantic import Field

from edgernn import storage
from edgernn.contract import Record
from edgernn.data.examples import TRAIN, VALIDATION, ExampleSet
from edgernn.data.labelled.classes import classes_of, label_ids, split
from edgernn.data.pictures.digits import CLASSES as DIGIT_CLASSES
from edgernn.data.pictures.digits import SPLITS, draw_digits, load_digits
from edgernn.data.pictures.labelled_pictures import read_labelled
from edgernn.families.painter import LABEL, NOISE
from edgernn.training.paint_objective import IMAGE

DIGITS = "digits"
LABELS_KEY = "labels"  # of what is said of the examples
_TIMES = {TRAIN: 8, VALIDATION: 2}  # that each digit is drawn
_SAMPLE = 256  # pictures to paint
_MOST_PIXELS = 4096  # of a picture: every one is an output of a layer
Tell = Callable[[str], None]


class PaintData(Record):
    """Where pictures come from.

    Attributes:
        source: ``digits``, a folder of folders, or an npz file; see ``labelled_pictures``.
        side: of a picture in pixels, of the digits or of the square that picture files are
            stretched to.
        validation_fraction: of the user's own pictures.
        seed: of how digits are drawn, of which pictures are held out, and of the sample's noise.
    """

    source: str = DIGITS
    side: int = Field(default=16, ge=8, le=64)
    validation_fraction: float = Field(default=0.1, gt=0, le=0.5)
    seed: int = Field(default=0, ge=0)


def make_examples(
    data: PaintData, folder: Path, *, steps: int, width: int, tell: Tell
) -> tuple[ExampleSet, dict[str, np.ndarray]]:
    """Make the examples of a run in the new ``folder``, as ``PaintObjective`` has them.

    Args:
        steps, width: T and Z of the noise.

    Returns:
        the examples, and a held-out sample as ``PainterFamily`` wants it.

    Raises:
        DataError: the pictures are missing, damaged or too few.
        UnavailableError: scikit-learn, or Pillow where pictures are files, is not installed.
    """
    rng = np.random.default_rng([data.seed, width])
    if data.source == DIGITS:
        labels, source = DIGIT_CLASSES, "digits of scikit-learn"
        parts: Mapping[str, dict[str, np.ndarray]] = {s: _digits(s, data, rng) for s in SPLITS}
    else:
        parts, labels, source = _own(data)
    counts = ", ".join(f"{len(part[LABEL]):,} for {name}" for name, part in parts.items())
    tell(f"{source}: pictures of {len(labels)} labels, {counts}")
    made = ExampleSet.write(folder, parts, source=source, about={LABELS_KEY: list(labels)})
    noise = rng.standard_normal((_SAMPLE, steps, width)).astype(np.float32)
    return made, {LABEL: np.arange(_SAMPLE, dtype=np.int64) % len(labels), NOISE: noise}


def _digits(part: str, data: PaintData, rng: np.random.Generator) -> dict[str, np.ndarray]:
    pictures, labels = load_digits(part)
    times = _TIMES[part]
    drawn = draw_digits(np.tile(pictures, (times, 1, 1)), data.side, rng=rng, varied=True)
    image = np.rint(drawn * 255).astype(np.uint8)[..., None]
    return {IMAGE: image, LABEL: np.tile(labels, times)}


def _own(data: PaintData) -> tuple[dict[str, dict[str, np.ndarray]], tuple[str, ...], str]:
    path = Path(data.source)
    found = read_labelled(path, side=data.side, most=_MOST_PIXELS)
    source = storage.as_utf8(path.resolve().name)
    classes = classes_of(found.labels, source=source)
    target = label_ids(found.labels, classes, source=source)
    keys = [picture.tobytes() for picture in found.pictures]
    train, held = split(
        found.labels, keys, fraction=data.validation_fraction, seed=data.seed, source=source
    )
    parts = {
        name: {IMAGE: found.pictures[rows], LABEL: target[rows]}
        for name, rows in ((TRAIN, train), (VALIDATION, held))
    }
    return parts, tuple(classes), source
