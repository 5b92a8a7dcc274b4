"""What a drawn scene shows in words: its five references, and which thing a word of a caption
names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.data.pictures.scene_drawing import SHAPES, Box, Scene, Thing
from edgernn.data.pictures.scene_layout import SIZES
from edgernn.data.pictures.scene_paint import COLOURS

_REFERENCES = 5
_OPPOSITE = {"above": "below", "to the left of": "to the right of"}


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
