"""A drawn scene shows its things where their boxes are, on a background that hides none of them."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from PIL import Image

from edgernn.data.pictures.pictures import to_array
from edgernn.data.pictures.scene_drawing import (
    MASTER,
    OUTLINES,
    TEXTURES,
    Background,
    Box,
    Scene,
    Thing,
    draw,
)
from edgernn.errors import UnavailableError, UsageError
from edgernn.formats.installed import install_command

GREY = Background("plain", (90, 90, 90), (120, 120, 120), seed=0)
RED = (220, 20, 10)


def thing_at(left: int, top: int, side: int, *, shape: str = "square") -> Thing:
    box = Box(left / MASTER, top / MASTER, (left + side) / MASTER, (top + side) / MASTER)
    return Thing("small", "red", shape, box, RED)


def where_red(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero((picture == RED).all(axis=-1))


@pytest.mark.parametrize("shape", OUTLINES)
@pytest.mark.parametrize("side", [49, 50, 64, 93, 116, 117])
def test_a_box_is_tight_around_its_shape(shape: str, side: int) -> None:
    rows, columns = where_red(draw(Scene((thing_at(7, 31, side, shape=shape),), GREY), MASTER))
    assert (columns.min(), rows.min()) == (7, 31)
    assert (columns.max() + 1, rows.max() + 1) == (7 + side, 31 + side)


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        ("circle", np.pi / 4),
        ("square", 1.0),
        ("triangle", 0.5),
        ("cross", 2 * 0.34 - 0.34**2),
        ("star", 0.385),
    ],
)
def test_a_shape_fills_its_share_of_the_box(shape: str, share: float) -> None:
    rows, _ = where_red(draw(Scene((thing_at(20, 20, 117, shape=shape),), GREY), MASTER))
    assert len(rows) / 117**2 == pytest.approx(share, abs=0.02)


def test_shapes_stand_upright() -> None:
    for shape in ("triangle", "star"):
        rows, columns = where_red(draw(Scene((thing_at(20, 20, 117, shape=shape),), GREY), MASTER))
        assert abs(columns[rows == rows.min()].mean() - 78) < 2, (
            "the topmost point is in the middle"
        )
        assert np.ptp(columns[rows == rows.max()]) > 50, "the lowest points are far apart"


def test_two_things_keep_their_colours() -> None:
    blue = Thing("large", "blue", "circle", Box(0.5, 0.5, 0.75, 0.75), (10, 20, 200))
    picture = draw(Scene((thing_at(10, 10, 50), blue), GREY), MASTER)
    assert tuple(picture[35, 35]) == RED
    assert tuple(picture[160, 160]) == (10, 20, 200)


def test_a_smaller_picture_is_resized_as_any_picture_is() -> None:
    scene = Scene(
        (thing_at(10, 10, 50, shape="star"),),
        Background("blotches", (90, 90, 90), (120, 120, 120), seed=4),
    )
    master = Image.fromarray(draw(scene, MASTER))
    for size in (64, 32, 1, 300):
        picture = draw(scene, size)
        assert picture.shape == (size, size, 3)
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous
        np.testing.assert_array_equal(picture, to_array(master, size))
    np.testing.assert_array_equal(draw(scene), draw(scene, 64))


def test_a_scene_always_gives_the_same_picture() -> None:
    scenes = [
        Scene((thing_at(10, 10, 50),), Background(texture, (9, 9, 9), (99, 99, 99), seed=3))
        for texture in TEXTURES
    ]
    first = [draw(scene).tobytes() for scene in scenes]
    np.random.default_rng().random(5)
    assert [draw(scene).tobytes() for scene in reversed(scenes)] == first[::-1]


@pytest.mark.parametrize("texture", TEXTURES)
def test_a_texture_stays_between_its_colours_and_follows_its_seed(texture: str) -> None:
    dark, light = (60, 70, 80), (110, 105, 100)
    pictures = [
        draw(Scene((), Background(texture, dark, light, seed)), MASTER) for seed in range(12)
    ]
    assert (np.min(pictures, axis=(0, 1, 2)) >= np.minimum(dark, light)).all()
    assert (np.max(pictures, axis=(0, 1, 2)) <= np.maximum(dark, light)).all()
    assert np.ptp(pictures, axis=0)[..., 0].max() > 25, "seeds change it"
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


@pytest.mark.parametrize("texture", ["plain", "gradient", "blotches"])
def test_a_texture_without_edges_changes_no_faster_than_its_noise(texture: str) -> None:
    for seed in range(12):
        picture = draw(
            Scene((), Background(texture, (0, 0, 0), (255, 255, 255), seed)), MASTER
        ).astype(int)
        assert max(np.abs(np.diff(picture, axis=axis)).max() for axis in (0, 1)) < 90


def test_only_plain_is_without_a_pattern() -> None:
    spread = {}
    for texture in TEXTURES:
        pictures = [
            draw(Scene((), Background(texture, (60, 60, 60), (110, 110, 110), seed)), 16)
            for seed in range(20)
        ]
        spread[texture] = np.mean([picture[..., 0].std() for picture in pictures])
    assert spread.pop("plain") < 1.5
    assert min(spread.values()) > 4


def test_a_box_contains_its_points_and_edges() -> None:
    box = Box(0.25, 0.5, 0.5, 1.0)
    assert box.centre == (0.375, 0.75)
    assert box.contains(0.3, 0.6)
    assert box.contains(0.25, 0.5)
    assert box.contains(0.5, 1.0)
    assert not box.contains(0.2, 0.6)
    assert not box.contains(0.6, 0.6)
    assert not box.contains(0.3, 0.4)
    assert not box.contains(0.3, 1.1)


def test_what_cannot_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene((thing_at(10, 10, 50),), GREY)
    with pytest.raises(UsageError, match="a picture of 0 pixels"):
        draw(scene, 0)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        UnavailableError, match="needs Pillow; run: " + re.escape(install_command("images"))
    ):
        draw(scene)
