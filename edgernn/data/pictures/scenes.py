"""The built-in picture corpus: drawn scenes of coloured shapes, so a first captioner needs no
download.

A picture shows one thing or two, and five references say what and where: every word can be decided
from the picture. The ``unseen`` pictures hold a colour and a shape that training never shows
together; they tell whether a captioner reads the picture or recites. A scene depends on its split,
its number and the seed alone, so no list of scenes is kept anywhere.
"""

from __future__ import annotations

import colorsys
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.data.pictures.picture_set import Example
from edgernn.data.pictures.scene_drawing import (
    MASTER,
    OUTLINES,
    RGB,
    TEXTURES,
    Background,
    Box,
    Scene,
    Thing,
    draw,
)
from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

UNSEEN = "unseen"
SPLITS = {
    "train": 8000,
    "validation": 400,
    "test": 500,
    UNSEEN: 500,
}  # how many pictures each has unless told otherwise
SHAPES = tuple(OUTLINES)
# Hue in degrees, saturation and brightness; each at least 21 degrees of hue from its neighbours
# once jittered.
_COLOURS = {
    "red": (0.0, 0.92, 0.86),
    "green": (128.0, 0.85, 0.68),
    "blue": (220.0, 0.85, 0.88),
    "yellow": (54.0, 0.92, 0.97),
    "purple": (284.0, 0.75, 0.66),
    "orange": (27.0, 0.95, 0.98),
}
COLOURS = tuple(_COLOURS)
_HUE_JITTER, _BRIGHTNESS_JITTER = 3, 0.06  # either way, in degrees and as a factor
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
_SIDES = {
    "small": (49, 64),
    "large": (93, 117),
}  # master pixels, both counted in: 0.19 to 0.25 and 0.36 to 0.46 of 256
SIZES = tuple(_SIDES)
_MARGIN, _GAP = 5, 8  # fewest master pixels between a thing and the edge, and between two things
_SHARE_OF_PAIRS = 0.7
_DEPTH = 20  # master pixels that a thing in a corner may stand further in
_DRIFT = 12  # master pixels that a thing in the middle may stand off
_REFERENCES = 5
_OPPOSITE = {"above": "below", "to the left of": "to the right of"}


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
    sides = [_pick(rng, *_SIDES[size]) for size in sizes]
    boxes = _place_one(sides[0], rng) if len(sides) == 1 else _place_two(sides, rng)
    things = (
        Thing(size, colour, shape, box, _mix_paint(colour, rng))
        for size, (colour, shape), box in zip(sizes, kinds, boxes, strict=True)
    )
    return Scene(tuple(things), _make_background(rng))


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


def captions(scene: Scene) -> tuple[str, ...]:
    """Return the five references of a scene: lower-case words and single spaces.

    The first, the plainest, is of every scene; four more are chosen of six by the scene's own seed.
    So at every word of the plain one it is the likelier way on, and what a trained captioner writes
    hangs on no coin's edge.
    """
    plain, *others = (
        _describe_one(*scene.things) if len(scene.things) == 1 else _describe_two(*scene.things)
    )
    chosen = np.random.default_rng(scene.background.seed).permutation(len(others))[
        : _REFERENCES - 1
    ]
    return (plain, *(others[index] for index in sorted(chosen)))


@dataclass(frozen=True)
class Named:
    """A colour or shape word of a caption and what it names.

    Attributes:
        position: the word's place among the caption's words, from 0.
        word: the word.
        box: of the thing that its phrase names; None where the phrase names nothing in the scene.
    """

    position: int
    word: str
    box: Box | None


def named_boxes(scene: Scene, words: Sequence[str]) -> tuple[Named, ...]:
    """Say for each colour and shape word of a caption which thing it names, as a pointing game
    needs it.

    A phrase is a run of size, colour and shape words that ends with its shape. It names the thing
    that has every colour and shape that it says; with no such thing, or more than one, it names
    nothing. Sizes are not held against it.

    Args:
        scene: what the caption speaks of.
        words: the caption's words, lower-case; it may be generated and so neither true nor
            grammatical.

    Returns:
        One entry for each colour and shape word, in their order; other words have none.
    """
    named = []
    for phrase in _find_phrases(words):
        said = {words[position] for position in phrase}
        boxes = [thing.box for thing in scene.things if said <= {thing.colour, thing.shape}]
        box = boxes[0] if len(boxes) == 1 else None
        named += [Named(position, words[position], box) for position in phrase]
    return tuple(named)


def _find_phrases(words: Sequence[str]) -> list[list[int]]:
    """Return the positions of the colour and shape words of each phrase."""
    phrases: list[list[int]] = [[]]
    for position, word in enumerate(words):
        if word in COLOURS or word in SHAPES:
            phrases[-1].append(position)
        if word not in COLOURS and word not in SIZES:
            phrases.append([])
    return phrases


def _describe_one(thing: Thing) -> tuple[str, ...]:
    kind, place = _kind(thing), _place(thing.box)
    whole = f"{thing.size} {kind}"
    return (
        f"{_article(whole)} {whole} {place}",
        f"there is {_article(whole)} {whole} {place}",
        f"{place} is {_article(whole)} {whole}",
        f"{place} there is {_article(whole)} {whole}",
        f"the {whole} is {place}",
        f"{_article(kind)} {kind} that is {thing.size} {place}",
        f"{_article(thing.size)} {thing.size} {thing.shape} that is {thing.colour} {place}",
    )


def _describe_two(first: Thing, second: Thing) -> tuple[str, ...]:
    relation = _relation(first.box, second.box)
    a, b = (f"{thing.size} {_kind(thing)}" for thing in (first, second))
    one_a, one_b = f"{_article(a)} {a}", f"{_article(b)} {b}"
    return (
        f"{one_a} {relation} {one_b}",
        f"{one_b} {_OPPOSITE[relation]} {one_a}",
        f"there is {one_a} {relation} {one_b}",
        f"{one_b} with {one_a} {relation} it",
        f"the {a} is {relation} the {b}",
        f"{one_a} and {_OPPOSITE[relation]} it {one_b}",
        f"{relation} {one_b} there is {one_a}",
    )


def _kind(thing: Thing) -> str:
    return f"{thing.colour} {thing.shape}"


def _article(phrase: str) -> str:
    return "an" if phrase[0] in "aeiou" else "a"


def _place(box: Box) -> str:
    x, y = box.centre
    if max(abs(x - 0.5), abs(y - 0.5)) < 0.1:
        return "in the middle"
    return f"at the {'top' if y < 0.5 else 'bottom'} {'left' if x < 0.5 else 'right'}"


def _relation(first: Box, second: Box) -> str:
    (x, y), (other_x, other_y) = first.centre, second.centre
    return "above" if other_y - y > abs(other_x - x) else "to the left of"


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


def _place_one(side: int, rng: np.random.Generator) -> list[Box]:
    """Place a thing in one of the four corners or in the middle, each as often as the others."""
    corner = _pick(rng, 0, 4)
    if corner == 4:
        left, top = ((MASTER - side) // 2 + _pick(rng, -_DRIFT, _DRIFT) for _ in range(2))
    else:
        near_left, near_top = (_MARGIN + _pick(rng, 0, _DEPTH) for _ in range(2))
        left = MASTER - side - near_left if corner % 2 else near_left
        top = MASTER - side - near_top if corner > 1 else near_top
    return [_box(left, top, side)]


def _place_two(sides: Sequence[int], rng: np.random.Generator) -> list[Box]:
    """Place two things in one row or column, their centres at least twice as far apart along it as
    across it.
    """
    free = MASTER - 2 * _MARGIN - _GAP - sum(sides)
    extra = _pick(rng, 0, free)
    first = _MARGIN + _pick(rng, 0, free - extra)
    second = first + sides[0] + _GAP + extra
    offset = second - first + (sides[1] - sides[0]) / 2  # between the centres

    across = _pick(rng, _MARGIN, MASTER - _MARGIN - sides[0])
    level = across + (sides[0] - sides[1]) / 2  # where the second centre is level with the first
    lowest = max(_MARGIN, math.ceil(level - offset / 2))
    highest = min(MASTER - _MARGIN - sides[1], math.floor(level + offset / 2))
    starts = [(first, across), (second, _pick(rng, lowest, highest))]
    if rng.random() < 0.5:
        starts = [(across, along) for along, across in starts]
    return [_box(left, top, side) for (left, top), side in zip(starts, sides, strict=True)]


def _box(left: int, top: int, side: int) -> Box:
    return Box(*(edge / MASTER for edge in (left, top, left + side, top + side)))


def _pick(rng: np.random.Generator, lowest: int, highest: int) -> int:
    """Return one of the whole numbers from ``lowest`` to ``highest``, both counted in."""
    return int(rng.integers(lowest, highest, endpoint=True))


def _mix_paint(colour: str, rng: np.random.Generator) -> RGB:
    hue, saturation, brightness = _COLOURS[colour]
    hue += rng.uniform(-_HUE_JITTER, _HUE_JITTER)
    brightness *= rng.uniform(1 - _BRIGHTNESS_JITTER, 1 + _BRIGHTNESS_JITTER)
    return _rgb(hue, saturation, brightness)


def _make_background(rng: np.random.Generator) -> Background:
    """Choose a texture between two greys with a breath of colour, far from any colour that has a
    word.
    """
    texture = list(TEXTURES)[rng.integers(len(TEXTURES))]
    hue, saturation = rng.uniform(0, 360), rng.uniform(0, 0.1)
    brightness, contrast = rng.uniform(0.22, 0.86), rng.uniform(0.08, 0.22)
    dark, light = (_rgb(hue, saturation, brightness + sign * contrast / 2) for sign in (-1, 1))
    return Background(texture, dark, light, int(rng.integers(2**32)))


def _rgb(hue: float, saturation: float, brightness: float) -> RGB:
    """Return a colour as three numbers from 0 to 255; hue in degrees, brightness cut at 1."""
    red, green, blue = colorsys.hsv_to_rgb(hue / 360 % 1, saturation, min(brightness, 1))
    return round(255 * red), round(255 * green), round(255 * blue)
