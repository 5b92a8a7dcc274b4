"""What a scene holds and how it is drawn: one or two coloured shapes on a textured background.

A ``Scene`` says everything that can be seen, so that ``draw`` has nothing to choose. Lengths are
whole pixels of a master picture of 256 × 256, which keeps every box exact; boxes are given in
shares of the picture's side. Pillow is imported when the first scene is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgernn.data.pictures.pictures import to_array
from edgernn.errors import UnavailableError
from edgernn.formats.installed import install_command

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

MASTER = 256  # pixels on a side of the picture that is drawn; other sizes are resized from it
# master pixels on a side of a grain of noise: finer grains would be lost when the picture gets
# smaller
_GRAIN = 2
_NOISE = 48  # how far, of 255, noise moves the texture between its two colours
# inner radius over outer radius; the sharp star of 0.38 loses its points in a small picture
_STAR_WAIST = 0.45
_ARM = 0.34  # thickness of the cross over its side

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Box:
    """A rectangle in shares of the picture's side, 0 at the left and at the top, 1 at the right and
    at the bottom.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle as ``(x, y)``."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def contains(self, x: float, y: float) -> bool:
        """Return whether the point lies in the box or on its edge."""
        return self.left <= x <= self.right and self.top <= y <= self.bottom


@dataclass(frozen=True)
class Thing:
    """A coloured shape.

    Attributes:
        size: ``small`` or ``large``.
        colour: the word for its colour.
        shape: the word for its shape, a key of ``OUTLINES``.
        box: the tight rectangle around it, its edges on the pixels of the master picture.
        paint: the colour itself, three numbers from 0 to 255.
    """

    size: str
    colour: str
    shape: str
    box: Box
    paint: RGB


@dataclass(frozen=True)
class Background:
    """A texture between two colours.

    Attributes:
        texture: a key of ``TEXTURES``.
        dark: the colour of its dark parts.
        light: the colour of its light parts.
        seed: of its direction, its period and its noise; 0 or more.
    """

    texture: str
    dark: RGB
    light: RGB
    seed: int


@dataclass(frozen=True)
class Scene:
    """Everything that a picture shows: one thing or two, the upper or left one first, and what is
    behind them.
    """

    things: tuple[Thing, ...]
    background: Background


def draw(scene: Scene, size: int = 64) -> np.ndarray:
    """Draw a scene at the master's size and make it smaller as any picture is; the same scene gives
    the same picture.

    Args:
        scene: what to draw.
        size: S, pixels on a side, at least 1.

    Returns:
        uint8 ``[S, S, 3]``, RGB, C-contiguous.

    Raises:
        UsageError: the size is below 1.
        UnavailableError: Pillow is not installed.
    """
    try:
        from PIL import ImageDraw
    except ImportError as error:
        raise UnavailableError(
            f"drawing a scene needs Pillow; run: {install_command('images')}"
        ) from error
    picture = _draw_background(scene.background)
    brush = ImageDraw.Draw(picture)
    for thing in scene.things:
        _draw_thing(brush, thing)
    return to_array(picture, size)


def _draw_thing(brush: ImageDraw, thing: Thing) -> None:
    box = thing.box
    # Pillow counts the last row and column of a figure in, a box ends after them.
    left, top, right, bottom = (
        round(edge * MASTER) for edge in (box.left, box.top, box.right, box.bottom)
    )
    width, height = right - left - 1, bottom - top - 1
    outline = OUTLINES[thing.shape]
    if outline:
        # Whole pixels, since Pillow would round a corner that lies a hair outside away from the
        # box.
        brush.polygon(
            [(left + round(x * width), top + round(y * height)) for x, y in outline],
            fill=thing.paint,
        )
    else:
        brush.ellipse((left, top, right - 1, bottom - 1), fill=thing.paint)


def _star() -> tuple[tuple[float, float], ...]:
    """Return a five-pointed star, stretched by a few per cent to touch all sides of the unit
    square.
    """
    points = []
    for corner in range(10):
        radius = _STAR_WAIST if corner % 2 else 1.0
        angle = corner * math.pi / 5
        points.append((radius * math.sin(angle), -radius * math.cos(angle)))
    half_width, lowest = math.sin(0.4 * math.pi), math.cos(0.2 * math.pi)
    return tuple(((x / half_width + 1) / 2, (y + 1) / (lowest + 1)) for x, y in points)


def _cross() -> tuple[tuple[float, float], ...]:
    near, far = (1 - _ARM) / 2, (1 + _ARM) / 2
    upper = ((near, near), (near, 0.0), (far, 0.0), (far, near), (1.0, near), (1.0, far))
    return upper + tuple((1 - x, 1 - y) for x, y in upper)


# Corners in the unit square, of which every outline touches all four sides; a circle has none.
OUTLINES: dict[str, tuple[tuple[float, float], ...]] = {
    "circle": (),
    "square": ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),
    "triangle": ((0.5, 0.0), (1.0, 1.0), (0.0, 1.0)),
    "star": _star(),
    "cross": _cross(),
}
SHAPES = tuple(OUTLINES)


def _draw_background(background: Background) -> Image:
    from PIL import Image

    rng = np.random.default_rng(background.seed)
    grains = MASTER // _GRAIN
    field = TEXTURES[background.texture](rng) * (255 - _NOISE)  # [256, 256]
    noise = rng.integers(0, _NOISE + 1, (grains, grains), np.uint8)
    levels = field.astype(np.uint8) + noise.repeat(_GRAIN, 0).repeat(
        _GRAIN, 1
    )  # [256, 256], at most 255
    picture = Image.fromarray(levels).convert("P")
    picture.putpalette(
        np.linspace(background.dark, background.light, 256).round().astype(np.uint8).tobytes()
    )
    return picture.convert("RGB")


def _plain(rng: np.random.Generator) -> np.ndarray:
    return np.full((MASTER, MASTER), rng.random(dtype=np.float32))


def _gradient(rng: np.random.Generator) -> np.ndarray:
    ramp = _ramp(rng)
    low, high = ramp.min(), ramp.max()
    return np.asarray((ramp - low) / (high - low))


def _stripes(rng: np.random.Generator) -> np.ndarray:
    ramp = _ramp(rng) / rng.uniform(24, 72)  # in periods
    return np.asarray(ramp % 1 < 0.5, np.float32)


def _checker(rng: np.random.Generator) -> np.ndarray:
    side = rng.integers(16, 49)
    row, column = ((np.arange(MASTER) + start) // side for start in rng.integers(0, side, 2))
    return np.asarray((row[:, None] + column) % 2, np.float32)


def _blotches(rng: np.random.Generator) -> np.ndarray:
    from PIL import Image

    cells = int(rng.integers(4, 11))
    coarse = Image.fromarray(rng.random((cells, cells), np.float32))
    smooth = np.asarray(coarse.resize((MASTER, MASTER), Image.Resampling.BICUBIC))
    return np.asarray(smooth.clip(0, 1))  # bicubic overshoots


def _ramp(rng: np.random.Generator) -> np.ndarray:
    """Return the distance of every pixel from a line through the corner in a random direction,
    float32 ``[256, 256]``.
    """
    angle = rng.uniform(0, 2 * math.pi)
    along = np.arange(MASTER, dtype=np.float32)
    return np.asarray(
        along * np.float32(math.cos(angle)) + (along * np.float32(math.sin(angle)))[:, None]
    )


# Each gives float32 [256, 256] between 0, the dark colour, and 1, the light one.
TEXTURES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "plain": _plain,
    "gradient": _gradient,
    "stripes": _stripes,
    "checker": _checker,
    "blotches": _blotches,
}
