"""From pictures with labels to the examples of a run of glimpses: cluttered digits, or the user's
own pictures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from edgernn.contract import Record
from edgernn.data.examples import TRAIN, VALIDATION, ExampleSet
from edgernn.data.pictures.cluttered import Clutter, cluttered_digits
from edgernn.data.pictures.digits import CLASSES as DIGIT_CLASSES
from edgernn.errors import UsageError
from edgernn.families.examples import LENGTHS, TARGET
from edgernn.families.glimpses import IMAGE, NOISE
from edgernn.training.picture_examples import Part, Pictures, Tell, own_pictures

DIGITS = "digits"
_VALIDATION, _SAMPLE, _SAMPLE_BYTES = 2000, 512, 8 << 20  # pictures, pictures, bytes of them


class GlimpseData(Record):
    """Where pictures come from.

    Attributes:
        source: ``digits``, a folder of folders, or an npz file; see ``labelled_pictures``.
        pictures: how many are made of the digits to train on.
        side: of a picture in pixels: of the canvas that digits lie on, or of the square that
            picture files are stretched to.
        pieces: of other digits that lie on a canvas.
        validation_fraction: of the user's own pictures.
        seed: of what is made, and of which pictures are held out.
    """

    source: str = DIGITS
    pictures: int = Field(default=60_000, ge=1, le=10_000_000)
    side: int = Field(default=Clutter.side, ge=16, le=1024)
    pieces: int = Field(default=Clutter.pieces, ge=0, le=256)
    validation_fraction: float = Field(default=0.1, gt=0, le=0.5)
    seed: int = Field(default=0, ge=0)


def make_examples(
    data: GlimpseData, folder: Path, *, looks: int, tell: Tell
) -> tuple[ExampleSet, dict[str, np.ndarray]]:
    """Make the examples of a run in the new ``folder``, as ``GlimpseObjective`` has them.

    Returns:
        the examples, and a held-out sample of ``looks`` looks as ``GlimpsesFamily`` wants it.

    Raises:
        DataError: the pictures are missing, damaged or too few.
        UsageError: the canvas is smaller than a digit.
        UnavailableError: scikit-learn, or Pillow where pictures are files, is not installed.
    """
    if data.source == DIGITS:
        pictures = Pictures(_digits(data), DIGIT_CLASSES, "cluttered digits of scikit-learn")
    else:
        pictures = own_pictures(
            Path(data.source), side=data.side, fraction=data.validation_fraction, seed=data.seed
        )
    made = pictures.write(folder, image=IMAGE, target=TARGET, tell=tell)
    return made, _sample(made, looks)


def _digits(data: GlimpseData) -> dict[str, Part]:
    clutter = Clutter(side=data.side, pieces=data.pieces)
    if clutter.side < clutter.digit:
        raise UsageError(
            f"--picture-size is {clutter.side}, expected {clutter.digit} or more, the side of a "
            "digit"
        )
    made = {}
    for name, count in ((TRAIN, data.pictures), (VALIDATION, _VALIDATION)):
        made[name] = cluttered_digits(name, count, clutter=clutter, seed=data.seed)
    return made


def _sample(examples: ExampleSet, looks: int) -> dict[str, np.ndarray]:
    part = examples.parts[VALIDATION]
    most = min(_SAMPLE, max(1, _SAMPLE_BYTES // part[IMAGE][0].nbytes))
    image = np.array(part[IMAGE][:most])
    return {
        IMAGE: image,
        NOISE: np.zeros((len(image), looks, 2), np.float32),
        LENGTHS: np.full(len(image), looks, np.int64),
        TARGET: np.array(part[TARGET][:most]),
    }
