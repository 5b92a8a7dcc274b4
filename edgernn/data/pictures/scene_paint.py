"""The colours of a drawn scene: those that have a word, each a little different every time, and the
greys behind.
"""

from __future__ import annotations

import colorsys

import numpy as np

from edgernn.data.pictures.scene_drawing import RGB, TEXTURES, Background

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


def mix_paint(colour: str, rng: np.random.Generator) -> RGB:
    """Return the paint of a colour that has a word, as one thing wears it."""
    hue, saturation, brightness = _COLOURS[colour]
    hue += rng.uniform(-_HUE_JITTER, _HUE_JITTER)
    brightness *= rng.uniform(1 - _BRIGHTNESS_JITTER, 1 + _BRIGHTNESS_JITTER)
    return _rgb(hue, saturation, brightness)


def make_background(rng: np.random.Generator) -> Background:
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
