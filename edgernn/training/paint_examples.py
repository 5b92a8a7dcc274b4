"""From pictures with labels to the examples of a painter: digits, or the user's own pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from edgernn.contract import Record
from edgernn.data.examples import TRAIN, VALIDATION, ExampleSet
from edgernn.data.pictures.digits import CLASSES as DIGIT_CLASSES
from edgernn.data.pictures.digits import SPLITS, draw_digits, load_digits
from edgernn.families.painter import LABEL, NOISE
from edgernn.training.paint_objective import IMAGE
from edgernn.training.picture_examples import Part, Pictures, Tell, own_pictures

DIGITS = "digits"
_TIMES = {TRAIN: 8, VALIDATION: 2}  # that each digit is drawn
_SAMPLE = 256  # pictures to paint
_MOST_PIXELS = 4096  # of a picture: every one is an output of a layer


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
        drawn = {name: _digits(name, data, rng) for name in SPLITS}
        pictures = Pictures(drawn, DIGIT_CLASSES, "digits of scikit-learn")
    else:
        pictures = own_pictures(
            Path(data.source),
            side=data.side,
            fraction=data.validation_fraction,
            seed=data.seed,
            most=_MOST_PIXELS,
        )
    made = pictures.write(folder, image=IMAGE, target=LABEL, tell=tell)
    noise = rng.standard_normal((_SAMPLE, steps, width)).astype(np.float32)
    return made, {LABEL: np.arange(_SAMPLE, dtype=np.int64) % len(pictures.labels), NOISE: noise}


def _digits(part: str, data: PaintData, rng: np.random.Generator) -> Part:
    pictures, labels = load_digits(part)
    times = _TIMES[part]
    drawn = draw_digits(np.tile(pictures, (times, 1, 1)), data.side, rng=rng, varied=True)
    image = np.rint(drawn * 255).astype(np.uint8)[..., None]
    return image, np.tile(labels, times)
