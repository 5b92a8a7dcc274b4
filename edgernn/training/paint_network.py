"""The network that paints a picture step by step (Gregor et al. 2015, section 2,
https://arxiv.org/abs/1502.04623), as layers: what is left of it after training.

A step takes noise and what the label was encoded as, and adds to the canvas; the picture is the
canvas through a logistic function::

    h_t = cell([z_t, E label], h_{t-1})    c_t = c_{t-1} + W h_t + b    picture_t = σ(c_t - 4)

The offset makes an empty canvas dark. That form, ``pixels``, writes all pixels at once. The form
``strokes`` draws a line from where the pen is to where it goes, as the layer ``stroke`` has it::

    m_t = tanh(W_m h_t + b_m)      where the pen goes; m_0 = 0, the middle
    c_t = stroke(c_{t-1}, m_{t-1}, m_t, σ(W_k h_t + b_k))      picture_t = σ(8 c_t - 4)

The pen goes to a place of the picture rather than so far from where it was: what one step learns
then moves no line of the steps after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from edgernn.contract import HEIGHT, WIDTH, validated
from edgernn.families.painter import CANVAS, CLASSES, LABEL, NOISE, PICTURE
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.over_time import Stack, Width

CORE = "core"  # the layer over time
_WANTED = "wanted"  # the context: what the label was encoded as
_DARK = -4.0
_CONTRAST = 8.0  # of a canvas from 0 to 1
_PEN, _POINT, _PRESSURE = "pen", 2, 2  # where the pen is; the widths of what it is told
Form = Literal["pixels", "strokes"]


class PaintModel(Stack):
    """The shape of the network.

    Attributes:
        form: how a step adds to the canvas.
        noise: Z, the numbers of noise that a step takes.
        embedding: the width of what a label is encoded as.
    """

    form: Form = "pixels"
    noise: int = Field(default=8, ge=1, le=1024)
    hidden: Width = 128
    embedding: int = Field(default=16, ge=1, le=4096)


def paint_network(
    model: PaintModel, *, height: int, width: int, classes: Sequence[str]
) -> NetworkConfig:
    """Return the description of the network for pictures of a size in pixels, and the names of the
    labels.

    Raises:
        UsageError: an unknown cell.
    """
    described = {
        "family": "painter",
        "given": [{"name": LABEL, "dtype": "int64", "axes": ["batch"], "below": CLASSES}],
        "inputs": [{"name": NOISE, "axes": ["batch", "time", "noise_width"]}],
        "sizes": {CLASSES: len(classes), "noise_width": model.noise, HEIGHT: height, WIDTH: width},
        "encode": [_layer("meaning", "embedding", LABEL, width=model.embedding)],
        "contexts": {_WANTED: "meaning"},
        "layers": [
            _layer("idea", "concat", NOISE, _WANTED),
            *model.described(CORE, "idea"),
            *(_strokes() if model.form == "strokes" else _pixels(height * width)),
            _layer("shown", "activation", "light", function="sigmoid"),
        ],
        "outputs": {PICTURE: "shown"},
        "labels": {CLASSES: list(classes)},
    }
    return validated(NetworkConfig, **described)


def _pixels(pixels: int) -> list[dict[str, Any]]:
    return [
        _layer("ink", "linear", CORE, width=pixels),
        _layer(CANVAS, "canvas", "ink", height=HEIGHT, width=WIDTH),
        _layer("light", "scale", CANVAS, offset=_DARK),
    ]


def _strokes() -> list[dict[str, Any]]:
    return [
        _layer("was", "before", layer=_PEN),
        _layer("now", "linear", CORE, width=_POINT, activation="tanh"),
        _layer("pressure", "linear", CORE, width=_PRESSURE, activation="sigmoid"),
        _layer(CANVAS, "stroke", "was", "now", "pressure", height=HEIGHT, width=WIDTH),
        _layer(_PEN, "keep", "now", width=_POINT),
        _layer("light", "scale", CANVAS, factor=_CONTRAST, offset=_DARK),
    ]


def _layer(name: str, kind: str, *inputs: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "inputs": list(inputs), "options": options}
