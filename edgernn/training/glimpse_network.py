"""The network that looks at a picture again and again (Mnih et al. 2014, section 3.1,
https://arxiv.org/abs/1406.6247), as layers.

``encode`` makes the picture a context. A step looks at the place that the one before chose, joins
what is there with where it is, and gives the scores of the labels and the place of the next look::

    l_t = clip(m_{t-1} + noise, -1, 1)      where it looks; m_0 = 0, the middle
    g_t = relu(W_g relu(W_c crops(picture, l_t))) ⊙ relu(W_l l_t)
    h_t = cell(g_t, h_{t-1})
    logits = W_a h_t    m_t = tanh(W_m h_t)

A step draws no random number: ``location_noise`` is zeros where the model is used, and what was
drawn in training. The product of what and where stands in place of the sum in the paper. What is
there is read by two layers: with one, a digit of the built-in data is misread half as often again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from edgernn.contract import CHANNELS, HEIGHT, WIDTH, validated
from edgernn.families.glimpses import CLASSES, COORDINATES, IMAGE, LOCATION, LOGITS, LOOKED, NOISE
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.over_time import CellName, Stack, Width

CORE = "core"  # the layer over time
_PICTURE = "picture"
_PARTS = 2  # as wide as what goes over time


class GlimpseModel(Stack):
    """The shape of the network.

    Attributes:
        side: samples along a side of a crop.
        strides: pixels between the samples of each crop.
        hidden: also the width of what goes over time is given.
    """

    side: int = Field(default=12, ge=2, le=64)
    strides: tuple[int, ...] = Field(default=(1, 3), min_length=1, max_length=8)
    cell: CellName = "gru"
    hidden: Width = 128


def glimpse_network(
    model: GlimpseModel, *, height: int, width: int, classes: Sequence[str]
) -> NetworkConfig:
    """Return the description of the network for pictures of a size in pixels, and the names of the
    labels.

    Raises:
        UsageError: an unknown cell, or a stride that no crop has.
    """
    picture = [HEIGHT, WIDTH, CHANNELS]
    described = {
        "family": "glimpses",
        "given": [{"name": IMAGE, "dtype": "uint8", "axes": ["batch", *picture]}],
        "inputs": [{"name": NOISE, "axes": ["batch", "time", COORDINATES]}],
        "sizes": {
            HEIGHT: height,
            WIDTH: width,
            CHANNELS: 1,
            COORDINATES: 2,
            CLASSES: len(classes),
        },
        "encode": [_layer("grey", "grey", IMAGE)],
        "contexts": {_PICTURE: "grey"},
        "layers": _step(model),
        "outputs": {LOGITS: "scores", LOOKED: "place"},
        "labels": {CLASSES: list(classes)},
    }
    return validated(NetworkConfig, **described)


def _layer(name: str, kind: str, *inputs: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "inputs": list(inputs), "options": options}


def _step(model: GlimpseModel) -> list[dict[str, Any]]:
    width = model.hidden
    crops = {"side": model.side, "strides": list(model.strides)}
    return [
        _layer("planned", "before", layer=LOCATION),
        _layer("moved", "add", "planned", NOISE),
        _layer("place", "activation", "moved", function="hard_tanh"),
        _layer("crops", "glimpse", _PICTURE, "place", **crops),
        _layer("parts", "linear", "crops", width=_PARTS * width, activation="relu"),
        _layer("what", "linear", "parts", width=width, activation="relu"),
        _layer("where", "linear", "place", width=width, activation="relu"),
        _layer("seen", "multiply", "what", "where"),
        *model.described(CORE, "seen"),
        _layer("scores", "linear", CORE, width=CLASSES),
        _layer("next", "linear", CORE, width=COORDINATES, activation="tanh"),
        _layer(LOCATION, "keep", "next", width=COORDINATES),
    ]
