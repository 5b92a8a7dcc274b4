"""The built-in scenes are always the same, fair to every word, and drawn as they say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.data.pictures.scene_drawing import MASTER, SHAPES, Box, Scene, draw
from edgernn.data.pictures.scene_layout import SIZES
from edgernn.data.pictures.scene_paint import COLOURS
from edgernn.data.pictures.scene_words import captions
from edgernn.data.pictures.scenes import HELD_OUT, SPLITS, examples, make_scene
from edgernn.errors import UsageError

RELATION = "(above|below|to the left of|to the right of)"
PLACE = "(at the (?:top|bottom) (?:left|right)|in the middle)"
any_scene = st.builds(
    make_scene, st.sampled_from(list(SPLITS)), st.integers(0, 100_000), seed=st.integers(0, 5)
)


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
        "import sys; from edgernn.data.pictures.scenes import *; captions(make_scene('test', 0)); "
        "assert 'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
