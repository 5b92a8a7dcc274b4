"""Every word of a scene's references is true of the picture, and points at its thing."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.data.pictures.scene_drawing import SHAPES, Background, Box, Scene, Thing
from edgernn.data.pictures.scene_layout import SIZES
from edgernn.data.pictures.scene_paint import COLOURS
from edgernn.data.pictures.scene_words import Named, captions, named_boxes
from edgernn.data.pictures.scenes import SPLITS, make_scene

GREY = Background("plain", (90, 90, 90), (120, 120, 120), seed=0)
THING = rf"({'|'.join(SIZES)}) ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})"
RELATION = "(above|below|to the left of|to the right of)"
PLACE = "(at the (?:top|bottom) (?:left|right)|in the middle)"
TWO = f"(?:there is )?(?:a|the) {THING} (?:is )?{RELATION} (?:a|the) {THING}"
any_scene = st.builds(
    make_scene, st.sampled_from(list(SPLITS)), st.integers(0, 100_000), seed=st.integers(0, 5)
)


def kinds(scene: Scene) -> list[tuple[str, str]]:
    return [(each.colour, each.shape) for each in scene.things]


def thing(words: str, x: float, y: float) -> Thing:
    size, colour, shape = words.split()
    half = 0.1 if size == "small" else 0.2
    return Thing(size, colour, shape, Box(x - half, y - half, x + half, y + half), (200, 0, 0))


def scene_of(*things: Thing, seed: int = 0) -> Scene:
    return Scene(things, replace(GREY, seed=seed))


def holds(relation: str, a: Box, b: Box) -> bool:
    return {
        "above": a.bottom < b.top,
        "below": a.top > b.bottom,
        "to the left of": a.right < b.left,
        "to the right of": a.left > b.right,
    }[relation]


@settings(max_examples=200, deadline=None)
@given(any_scene.filter(lambda scene: len(scene.things) == 2))
def test_two_things_are_described_truly(scene: Scene) -> None:
    box_of = {(each.size, each.colour, each.shape): each.box for each in scene.things}
    for caption in captions(scene):
        turned = re.sub(
            f"^a {THING} with a {THING} {RELATION} it$", r"a \4 \5 \6 \7 a \1 \2 \3", caption
        )
        turned = re.sub(
            f"^a {THING} and {RELATION} it a {THING}$", r"a \5 \6 \7 \4 a \1 \2 \3", turned
        )
        turned = re.sub(
            f"^{RELATION} a {THING} there is a {THING}$", r"a \5 \6 \7 \1 a \2 \3 \4", turned
        )
        match = re.fullmatch(TWO, turned)
        assert match, caption
        words = match.groups()
        assert holds(words[3], box_of[words[:3]], box_of[words[4:]]), caption
    first = scene.things[0]
    assert f" {first.size} {first.colour} {first.shape} " in captions(scene)[0]


@settings(max_examples=100, deadline=None)
@given(any_scene.filter(lambda scene: len(scene.things) == 1))
def test_one_thing_is_described_truly(scene: Scene) -> None:
    (only,) = scene.things
    x, y = only.box.centre
    for caption in captions(scene):
        (place,) = re.findall(PLACE, caption)
        if place == "in the middle":
            assert max(abs(x - 0.5), abs(y - 0.5)) < 0.06
        else:
            assert ("left" in place, "top" in place) == (x < 0.34, y < 0.34)
            assert ("right" in place, "bottom" in place) == (x > 0.66, y > 0.66)
        assert {only.size, only.colour, only.shape} <= set(caption.split())
        assert not (set(SIZES + COLOURS + SHAPES) - {only.size, only.colour, only.shape}) & set(
            caption.split()
        )


def every_reference(*things: Thing) -> list[str]:
    """Return all references that such scenes are ever given, the plain one first."""
    chosen = [captions(scene_of(*things, seed=seed)) for seed in range(40)]
    assert len({each[0] for each in chosen}) == 1
    assert all(len(set(each)) == 5 for each in chosen)
    assert len(set(chosen)) > 10, "which of them, is up to the seed"
    return [chosen[0][0], *sorted({caption for each in chosen for caption in each[1:]})]


def test_the_references_of_one_thing() -> None:
    assert every_reference(thing("large orange star", 0.3, 0.3)) == [
        "a large orange star at the top left",
        "a large star that is orange at the top left",
        "an orange star that is large at the top left",
        "at the top left is a large orange star",
        "at the top left there is a large orange star",
        "the large orange star is at the top left",
        "there is a large orange star at the top left",
    ]
    places = [
        captions(scene_of(thing("small red cross", x, y)))[0]
        for x, y in ((0.8, 0.2), (0.2, 0.8), (0.8, 0.8), (0.5, 0.5))
    ]
    ends = ["at the top right", "at the bottom left", "at the bottom right", "in the middle"]
    assert [place.split("cross ")[1] for place in places] == ends


def test_the_references_of_two_things() -> None:
    assert every_reference(
        thing("small red circle", 0.4, 0.2), thing("large blue square", 0.5, 0.7)
    ) == [
        "a small red circle above a large blue square",
        "a large blue square below a small red circle",
        "a large blue square with a small red circle above it",
        "a small red circle and below it a large blue square",
        "above a large blue square there is a small red circle",
        "the small red circle is above the large blue square",
        "there is a small red circle above a large blue square",
    ]
    assert every_reference(
        thing("small orange circle", 0.2, 0.5), thing("large blue square", 0.7, 0.4)
    ) == [
        "a small orange circle to the left of a large blue square",
        "a large blue square to the right of a small orange circle",
        "a large blue square with a small orange circle to the left of it",
        "a small orange circle and to the right of it a large blue square",
        "the small orange circle is to the left of the large blue square",
        "there is a small orange circle to the left of a large blue square",
        "to the left of a large blue square there is a small orange circle",
    ]


def test_the_vocabulary_is_small() -> None:
    words = {
        word
        for index in range(400)
        for caption in captions(make_scene("train", index))
        for word in caption.split()
    }
    places = {"top", "bottom", "left", "right", "middle", "above", "below"}
    small = {"a", "an", "and", "the", "there", "is", "at", "in", "to", "of", "with", "it", "that"}
    assert words == {*SIZES, *COLOURS, *SHAPES, *places, *small}


@settings(max_examples=100, deadline=None)
@given(any_scene)
def test_words_of_a_reference_point_at_their_things(scene: Scene) -> None:
    box_of = {word: each.box for each in scene.things for word in (each.colour, each.shape)}
    shared = {
        word
        for word in box_of
        if sum(word in (each.colour, each.shape) for each in scene.things) == 2
    }
    for caption in captions(scene):
        words = caption.split()
        named = named_boxes(scene, words)
        assert [each.position for each in named] == [
            at for at, word in enumerate(words) if word in COLOURS + SHAPES
        ]
        for each in named:
            assert each.word == words[each.position]
            assert each.word in shared or each.box == box_of[each.word]
        for colour, shape in zip(named[::2], named[1::2], strict=True):
            assert colour.box == shape.box
            assert {colour.word, shape.word} in map(
                set, kinds(scene)
            )  # "a large star that is green", too
        assert {each.box for each in named} == {each.box for each in scene.things}


def boxes_of(scene: Scene, caption: str) -> dict[str, Box | None]:
    return {
        f"{each.position} {each.word}": each.box for each in named_boxes(scene, caption.split())
    }


def test_things_that_share_a_colour_or_a_shape_are_told_apart() -> None:
    upper, lower = thing("small red circle", 0.4, 0.2), thing("small red star", 0.5, 0.7)
    named = named_boxes(scene_of(upper, lower), ["a", "red", "star", "below", "a", "red", "circle"])
    assert named == (
        Named(1, "red", lower.box),
        Named(2, "star", lower.box),
        Named(5, "red", upper.box),
        Named(6, "circle", upper.box),
    )


def test_a_phrase_that_names_nothing() -> None:
    circle, square = thing("small red circle", 0.4, 0.2), thing("large blue square", 0.5, 0.7)
    scene = scene_of(circle, square)
    assert boxes_of(scene, "a red square above a blue square") == {
        "1 red": None,
        "2 square": None,
        "5 blue": square.box,
        "6 square": square.box,
    }
    assert boxes_of(scene, "a green star") == {"1 green": None, "2 star": None}
    assert boxes_of(scene, "a red blue circle") == {"1 red": None, "2 blue": None, "3 circle": None}


def test_generated_captions_in_any_state() -> None:
    circle, square = thing("small red circle", 0.4, 0.2), thing("large blue square", 0.5, 0.7)
    scene = scene_of(circle, square)
    right = {"2 red": circle.box, "3 circle": circle.box}
    assert boxes_of(scene, "a large red circle") == right, (
        "a wrong size does not change what is named"
    )
    assert boxes_of(scene, "red circle blue square") == {
        "0 red": circle.box,
        "1 circle": circle.box,
        "2 blue": square.box,
        "3 square": square.box,
    }
    assert boxes_of(scene, "a red red circle") == {"1 red": circle.box, **right}
    assert boxes_of(scene, "a red is a square red") == {
        "1 red": circle.box,
        "4 square": square.box,
        "5 red": circle.box,
    }
    assert boxes_of(scene, "<unk> in the middle is") == {}
    assert boxes_of(scene, "") == {}
    assert boxes_of(scene_of(circle, thing("large blue circle", 0.5, 0.7)), "a circle") == {
        "1 circle": None
    }
    reds = scene_of(circle, thing("large red star", 0.5, 0.7))
    assert boxes_of(reds, "a red small circle") == {"1 red": circle.box, "3 circle": circle.box}
    assert boxes_of(reds, "a red is a circle") == {"1 red": None, "4 circle": circle.box}
