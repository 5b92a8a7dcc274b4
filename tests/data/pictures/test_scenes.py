"""The built-in scenes are always the same, and every word of their references is true of the
picture.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.data.pictures.scene_drawing import MASTER, Background, Box, Scene, Thing, draw
from edgernn.data.pictures.scenes import (
    COLOURS,
    HELD_OUT,
    SHAPES,
    SIZES,
    SPLITS,
    Named,
    captions,
    examples,
    make_scene,
    named_boxes,
)
from edgernn.errors import UsageError

GREY = Background("plain", (90, 90, 90), (120, 120, 120), seed=0)
THING = rf"({'|'.join(SIZES)}) ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})"
RELATION = "(above|below|to the left of|to the right of)"
PLACE = "(at the (?:top|bottom) (?:left|right)|in the middle)"
TWO = f"(?:there is )?(?:a|the) {THING} (?:is )?{RELATION} (?:a|the) {THING}"
any_scene = st.builds(
    make_scene, st.sampled_from(list(SPLITS)), st.integers(0, 100_000), seed=st.integers(0, 5)
)


def thing(words: str, x: float, y: float) -> Thing:
    size, colour, shape = words.split()
    half = 0.1 if size == "small" else 0.2
    return Thing(size, colour, shape, Box(x - half, y - half, x + half, y + half), (200, 0, 0))


def scene_of(*things: Thing, seed: int = 0) -> Scene:
    return Scene(things, replace(GREY, seed=seed))


def kinds(scene: Scene) -> list[tuple[str, str]]:
    return [(each.colour, each.shape) for each in scene.things]


def test_a_scene_depends_on_its_arguments_alone() -> None:
    arguments = [
        (split, index, seed) for split in SPLITS for index in range(20) for seed in range(3)
    ]
    forwards = [make_scene(split, index, seed=seed) for split, index, seed in arguments]
    backwards = [make_scene(split, index, seed=seed) for split, index, seed in reversed(arguments)]
    assert backwards[::-1] == forwards
    assert len({repr(scene) for scene in forwards}) == len(forwards)


def test_the_corpus_stays_what_it_was() -> None:
    assert [captions(make_scene(split, 0))[0] for split in SPLITS] == [
        "a small green cross to the left of a small yellow circle",
        "a large orange cross in the middle",
        "a large green triangle above a large green star",
        "a large orange circle at the top right",
    ]
    assert make_scene("test", 1).things[0].box == Box(0.140625, 0.59375, 0.515625, 0.96875)


def test_what_is_held_out() -> None:
    assert sorted(colour for colour, _ in HELD_OUT) == sorted(COLOURS), "each colour once"
    assert {shape for _, shape in HELD_OUT} == set(SHAPES)
    seen = {
        kind
        for split in ("train", "validation", "test")
        for index in range(500)
        for kind in kinds(make_scene(split, index))
    }
    assert seen == set(product(COLOURS, SHAPES)) - set(HELD_OUT)
    unseen = [kinds(make_scene("unseen", index)) for index in range(SPLITS["unseen"])]
    assert all(set(of_scene) & set(HELD_OUT) for of_scene in unseen)
    assert {kind for of_scene in unseen for kind in of_scene} == set(product(COLOURS, SHAPES))
    pairs = [[kind in HELD_OUT for kind in of_scene] for of_scene in unseen if len(of_scene) == 2]
    assert min(pairs.count([True, False]), pairs.count([False, True])) > 100, (
        "as often the first thing as the second"
    )


def test_everything_comes_about_equally_often() -> None:
    scenes = [make_scene("train", index) for index in range(2000)]
    things = [each for scene in scenes for each in scene.things]
    assert sum(len(scene.things) == 2 for scene in scenes) == pytest.approx(1400, abs=80)
    for attribute, words in (("size", SIZES), ("colour", COLOURS), ("shape", SHAPES)):
        counts = [sum(getattr(each, attribute) == word for each in things) for word in words]
        assert min(counts) > 0.6 * max(counts), attribute
    where = Counter(re.findall(f"{PLACE}|{RELATION}", captions(scene)[0])[0] for scene in scenes)
    relations, places = ([where[key] for key in where if key[group]] for group in (1, 0))
    assert (len(relations), len(places)) == (2, 5)
    assert min(relations) > 0.75 * max(relations)
    assert min(places) > 0.6 * max(places)
    textures = [scene.background.texture for scene in scenes]
    assert min(map(textures.count, set(textures))) > 300


@settings(max_examples=300, deadline=None)
@given(any_scene)
def test_things_are_apart_and_inside_and_as_large_as_they_say(scene: Scene) -> None:
    for each in scene.things:
        box = each.box
        width, height = box.right - box.left, box.bottom - box.top
        low, high = (0.19, 0.25) if each.size == "small" else (0.36, 0.46)
        assert width == height
        assert low <= width <= high
        assert min(box.left, box.top, 1 - box.right, 1 - box.bottom) > 0.01
    if len(scene.things) == 2:
        first, second = (each.box for each in scene.things)
        assert max(second.left - first.right, second.top - first.bottom) > 0.03, (
            "a gap, the upper or left one first"
        )
        offsets = sorted(abs(b - a) for a, b in zip(first.centre, second.centre, strict=True))
        assert offsets[1] >= 2 * offsets[0]
        assert len(set(kinds(scene))) == 2


@settings(max_examples=60, deadline=None)
@given(any_scene)
def test_no_colour_is_near_the_background(scene: Scene) -> None:
    pytest.importorskip("PIL")
    behind = draw(Scene((), scene.background), MASTER).reshape(-1, 3).astype(int)
    assert np.ptp(behind, axis=1).max() < 30, "grey"
    for each in scene.things:
        assert np.ptp(each.paint) > 100, "colourful"
        assert np.linalg.norm(behind - np.array(each.paint), axis=1).min() > 60


def test_colours_are_apart() -> None:
    paints: dict[str, list[tuple[int, int, int]]] = {colour: [] for colour in COLOURS}
    for index in range(1000):
        for each in make_scene("train", index).things:
            paints[each.colour].append(each.paint)
    for colour, own in paints.items():
        assert len(set(own)) > 50, "jittered"
        others = np.array(
            [paint for other in COLOURS if other != colour for paint in paints[other]]
        )
        nearest = min(np.linalg.norm(others - np.array(paint), axis=1).min() for paint in own)
        assert nearest > 45, colour


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


def test_examples_are_scenes_drawn_and_described() -> None:
    pytest.importorskip("PIL")
    made = list(examples("test", 12, size=32, seed=2))
    assert [example.name for example in made][::11] == ["test-00000", "test-00011"]
    scene = make_scene("test", 11, seed=2)
    np.testing.assert_array_equal(made[11].picture, draw(scene, 32))
    assert made[11].captions == captions(scene)
    assert next(examples("train", 1)).picture.shape == (64, 64, 3)


def test_what_cannot_be_made() -> None:
    with pytest.raises(
        UsageError,
        match="no split 'dev' of scenes; expected one of train, validation, test, unseen",
    ):
        make_scene("dev", 0)
    with pytest.raises(UsageError, match="no scene -1 of seed 0; give numbers of 0 or more"):
        make_scene("train", -1)
    with pytest.raises(UsageError, match="no scene 0 of seed -2"):
        make_scene("train", 0, seed=-2)


def test_a_scene_is_made_and_described_without_pillow() -> None:
    code = (
        "import sys; from edgernn.data.pictures.scenes import *; captions(make_scene('test', 0)); assert "
        "'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
