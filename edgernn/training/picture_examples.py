"""Grey pictures with labels as the examples of a run, whatever is learned from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgernn import storage
from edgernn.data.examples import TRAIN, VALIDATION, ExampleSet
from edgernn.data.labelled.classes import classes_of, label_ids, split
from edgernn.data.pictures.labelled_pictures import read_labelled

LABELS_KEY = "labels"  # of what is said of the examples
_MOST_PIXELS = 1 << 20  # of a picture
Tell = Callable[[str], None]
Part = tuple[np.ndarray, np.ndarray]  # uint8 [N, H, W, 1], and what their labels are, int64 [N]


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of each split, the names of their labels, and where they come from."""

    parts: Mapping[str, Part]
    labels: tuple[str, ...]
    source: str

    def write(self, folder: Path, *, image: str, target: str, tell: Tell) -> ExampleSet:
        """Write them as the examples of a run into the new ``folder``, under the names of what is
        read and of what is to be said; raises as ``ExampleSet.write``.
        """
        counts = ", ".join(f"{len(part[1]):,} for {name}" for name, part in self.parts.items())
        tell(f"{self.source}: pictures of {len(self.labels)} labels, {counts}")
        named = {
            name: {image: pictures, target: ids} for name, (pictures, ids) in self.parts.items()
        }
        return ExampleSet.write(
            folder, named, source=self.source, about={LABELS_KEY: list(self.labels)}
        )


def shape_of(examples: ExampleSet, image: str) -> dict[str, Any]:
    """Return what a network must be told of pictures: ``height``, ``width`` and ``classes``."""
    _, height, width, _ = examples.parts[TRAIN][image].shape
    return {"height": height, "width": width, "classes": examples.about[LABELS_KEY]}


def own_pictures(
    path: Path, *, side: int, fraction: float, seed: int, most: int = _MOST_PIXELS
) -> Pictures:
    """Read the user's own pictures.

    Args:
        path, side, most: see ``read_labelled``.
        fraction: of each label, held out.
        seed: of which those are.

    Raises:
        DataError: the pictures are missing, damaged or too few.
        UnavailableError: Pillow is not installed, and the pictures are files.
    """
    found = read_labelled(path, side=side, most=most)
    source = storage.as_utf8(path.resolve().name)
    classes = classes_of(found.labels, source=source)
    ids = label_ids(found.labels, classes, source=source)
    keys = [picture.tobytes() for picture in found.pictures]
    train, held = split(found.labels, keys, fraction=fraction, seed=seed, source=source)
    parts = {
        name: (found.pictures[rows], ids[rows])
        for name, rows in ((TRAIN, train), (VALIDATION, held))
    }
    return Pictures(parts, tuple(classes), source)
