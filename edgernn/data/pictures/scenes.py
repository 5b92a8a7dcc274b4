"""The built-in picture corpus: drawn scenes of coloured shapes, so a first captioner needs no
download.

A picture shows one thing or two, and five references say what and where: every word can be decided
from the picture. The ``unseen`` pictures hold a colour and a shape that training never shows
together; they tell whether a captioner reads the picture or recites. A scene depends on its split,
its number and the seed alone, so no list of scenes is kept anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from edgernn.data.pictures.picture_set import Example
from edgernn.data.pictures.scene_drawing import SHAPES, Scene, Thing, draw
from edgernn.data.pictures.scene_layout import SIDES, SIZES, pick, place_one, place_two
from edgernn.data.pictures.scene_paint import COLOURS, make_background, mix_paint
from edgernn.data.pictures.scene_words import captions
from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

UNSEEN = "unseen"
# how many pictures each has unless told otherwise
SPLITS = {"train": 8000, "validation": 400, "test": 500, UNSEEN: 500}
# Never shown in training: each colour once, every shape at least once.
HELD_OUT = (
    ("red", "star"),
    ("green", "circle"),
    ("blue", "triangle"),
    ("yellow", "cross"),
    ("purple", "square"),
    ("orange", "circle"),
)
_ALL = tuple(itertools.product(COLOURS, SHAPES))
_SEEN = tuple(pair for pair in _ALL if pair not in HELD_OUT)
_SHARE_OF_PAIRS = 0.7


def make_scene(split: str, index: int, *, seed: int = 0) -> Scene:
    """Make one scene of a split; the same arguments give the same scene, whatever was made before.

    Args:
        split: a key of ``SPLITS``.
        index: which scene, 0 or more; it may go beyond the split's default count.
        seed: of the whole corpus, 0 or more.

    Raises:
        UsageError: there is no such split, or a number is negative.
    """
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r} of scenes; {expected_one_of(split, SPLITS)}")
    if index < 0 or seed < 0:
        raise UsageError(f"there is no scene {index} of seed {seed}; give numbers of 0 or more")
    rng = np.random.default_rng([seed, list(SPLITS).index(split), index])
    kinds = _choose_kinds(split, 2 if rng.random() < _SHARE_OF_PAIRS else 1, rng)
    sizes = [SIZES[rng.integers(len(SIZES))] for _ in kinds]
    sides = [pick(rng, *SIDES[size]) for size in sizes]
    boxes = place_one(sides[0], rng) if len(sides) == 1 else place_two(sides, rng)
    things = (
        Thing(size, colour, shape, box, mix_paint(colour, rng))
        for size, (colour, shape), box in zip(sizes, kinds, boxes, strict=True)
    )
    return Scene(tuple(things), make_background(rng))


def examples(split: str, count: int, *, size: int = 64, seed: int = 0) -> Iterator[Example]:
    """Yield the first ``count`` pictures of a split, ``size`` pixels on a side, with their
    references.

    Raises:
        UsageError: as for ``make_scene`` and ``draw``.
        UnavailableError: Pillow is not installed.
    """
    for index in range(count):
        scene = make_scene(split, index, seed=seed)
        yield Example(
            picture=draw(scene, size), captions=captions(scene), name=f"{split}-{index:05d}"
        )


def _choose_kinds(split: str, count: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """Return ``count`` different pairs of colour and shape, in any order, as the split allows
    them.
    """
    first_of, others = (HELD_OUT, _ALL) if split == UNSEEN else (_SEEN, _SEEN)
    kinds = [first_of[rng.integers(len(first_of))]]
    if count > 1:
        left = [pair for pair in others if pair != kinds[0]]
        kinds.insert(int(rng.integers(2)), left[rng.integers(len(left))])
    return kinds
