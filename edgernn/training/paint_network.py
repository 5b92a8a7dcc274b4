"""The network that paints a picture step by step (Gregor et al. 2015, section 2,
https://arxiv.org/abs/1502.04623), as layers: what is left of it after training.

A step takes noise and what the label was encoded as, and adds to the canvas; the picture is the
canvas through a logistic function::

    h_t = cell([z_t, E label], h_{t-1})    c_t = c_{t-1} + W h_t + b    picture_t = σ(c_t - 4)

The offset makes an empty canvas dark. It writes without attention, all pixels at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from edgernn.contract import HEIGHT, WIDTH, validated
from edgernn.families.painter import CANVAS, CLASSES, LABEL, NOISE, PICTURE
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.over_time import Stack, Width

CORE = "core"  # the layer over time
_WANTED = "wanted"  # the context: what the label was encoded as
_DARK = -4.0


class PaintModel(Stack):
    """The shape of the network.

    Attributes:
        noise: Z, the numbers of noise that a step takes.
        embedding: the width of what a label is encoded as.
    """

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
            _layer("ink", "linear", CORE, width=height * width),
            _layer(CANVAS, "canvas", "ink", height=HEIGHT, width=WIDTH),
            _layer("light", "scale", CANVAS, offset=_DARK),
            _layer("shown", "activation", "light", function="sigmoid"),
        ],
        "outputs": {PICTURE: "shown"},
        "labels": {CLASSES: list(classes)},
    }
    return validated(NetworkConfig, **described)


def _layer(name: str, kind: str, *inputs: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "inputs": list(inputs), "options": options}
