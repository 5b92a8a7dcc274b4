"""What a picture shows, from a bundle that looks at it several times: open it once, then as many
pictures as one likes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.contract import HEIGHT, WIDTH
from edgernn.data.pictures.labelled_pictures import load_grey
from edgernn.errors import UsageError
from edgernn.families.examples import LENGTHS
from edgernn.families.glimpses import COORDINATES, LOOKED, NOISE
from edgernn.families.loss import log_probabilities
from edgernn.families.samples import sample_of
from edgernn.writing.opened import Opened
from edgernn.writing.running import Running

_LOOKS, _MOST_LOOKS = 6, 1000  # where the bundle does not say how many it was trained with


@dataclass(frozen=True, eq=False)
class Looks(Running):
    """What a model says of one picture after each of T looks at it.

    Attributes:
        places: ``[T, 2]``, where it looked, (y, x): -1 the centre of the first pixel, 1 that of the
            last.
        picture: as the model saw it, uint8 ``[H, W, 1]``.
    """

    places: np.ndarray
    picture: np.ndarray

    def pixels(self) -> np.ndarray:
        """Return where it looked in pixels of the picture, (y, x) ``[T, 2]``."""
        ends = np.array(self.picture.shape[:2]) - 1
        made: np.ndarray = (self.places + 1) / 2 * ends
        return made

    def steps(self) -> Iterator[tuple[str, str, float]]:
        """Yield of each look its place in pixels, in words, the label after it and its
        probability.
        """
        for (y, x), row in zip(self.pixels(), self.running, strict=True):
            yield f"({y:.1f}, {x:.1f})", self.labels[int(row.argmax())], float(row.max())

    def to_record(self) -> dict[str, Any]:
        """Return what a line of JSON says of it; places in pixels, (y, x)."""
        return {**super().to_record(), "looks": np.round(self.pixels(), 3).tolist()}


class Looker(Opened):
    """A bundle of glimpses, opened; see ``Opened``.

    Attributes:
        labels: the names of what it tells apart.
        looks: how many it was trained with, of a bundle that holds its held-out sample; else 6.
    """

    command = "classify"

    def _ready(self) -> None:
        """See ``Opened``."""
        contract, sample = self._bundle.manifest.contract, sample_of(self._bundle)
        assert contract.encode is not None
        self._image, self._scores = contract.encode.inputs[0], contract.step.read_outputs[0]
        self.labels = self._names(self._scores.axes[-1])
        self.looks = _LOOKS if sample is None else int(sample[LENGTHS].max())

    def look(self, path: Path, *, looks: int | None = None) -> Looks:
        """Look at the picture file ``path``, stretched to what the model sees and made grey.

        Raises:
            DataError: the file is missing, or is no picture that can be read.
            UsageError: a number of looks that is out of range.
        """
        sizes = self._bundle.manifest.contract.sizes
        return self.look_at(load_grey(path, sizes[HEIGHT], sizes[WIDTH]), looks=looks)

    def look_at(self, picture: np.ndarray, *, looks: int | None = None) -> Looks:
        """Look at ``picture``, uint8 ``[H, W, 1]``; raises as ``look``."""
        count = self.looks if looks is None else looks
        if not 1 <= count <= _MOST_LOOKS:
            raise UsageError(f"the number of looks is {count}, expected 1 to {_MOST_LOOKS}")
        rows = self._model.rows or 1
        shown = np.repeat(picture[None], rows, 0)
        contexts, state = self._model.begin({self._image.name: shown}, batch=rows)
        still = np.zeros((rows, 1, self._bundle.manifest.contract.sizes[COORDINATES]), np.float32)
        scores, places = [], []
        for _ in range(count):
            outputs, state = self._model.step({NOISE: still, **contexts}, state)
            scores.append(outputs[self._scores.name][0, -1])
            places.append(outputs[LOOKED][0, -1])
        running = np.exp(log_probabilities(np.stack(scores)))  # [T, C]
        return Looks(self.labels, running, np.stack(places).astype(np.float64), picture)
