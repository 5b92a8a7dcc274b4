"""The network of a tagger: frames through a small convolutional network a frame, or words through
an embedding; a recurrent layer; scores of labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgernn.contract import BATCH, TIME

FRAMES, TOKENS = "frames", "tokens"  # inputs
CLASSES, SCORES = "classes", "logits"
_WIDTHS = (12, 24, 32, 48)  # channels of the convolutions, each of which halves the picture
_SMALL = 7  # pixels on a side of a map that is small enough
_LEAST = 4
_CONVOLUTION = {"kernel": 4, "stride": 2, "padding": 1, "normalise": True, "activation": "relu"}


def channels_for(height: int, width: int) -> tuple[int, ...]:
    """Return the channels of the convolutions that make a map small."""
    made: list[int] = []
    while max(height, width) > _SMALL and min(height, width) >= _LEAST:
        made.append(_WIDTHS[min(len(made), len(_WIDTHS) - 1)])
        height, width = height // 2, width // 2
    return tuple(made)


def frame_layers(channels: Sequence[int], features: int | None) -> list[dict[str, Any]]:
    """Return the layers from pictures to a vector a frame, or to a map where there are no
    ``features``.
    """
    layers, last = [_layer("pixels", "frames", FRAMES)], "pixels"
    for place, width in enumerate(channels):
        name = f"convolution{place}"
        layers.append(_layer(name, "frame_convolution", last, width=width, **_CONVOLUTION))
        last = name
    if features is None:
        return layers
    layers.append(_layer("flat", "frame_vector", last))
    return [*layers, _layer("vector", "linear", "flat", width=features)]


def word_layers(embedding: int) -> list[dict[str, Any]]:
    """Return the layer from ids to a vector a word, ``vector``."""
    return [_layer("vector", "embedding", TOKENS, width=embedding)]


def described(
    layers: list[dict[str, Any]],
    sizes: dict[str, int],
    labels: Sequence[str],
    *,
    late: int = 0,
) -> dict[str, Any]:
    """Return the description of the network.

    Args:
        layers: up to ``rnn``, which gives a vector a step.
        sizes: of the input's axes: ``vocab``, or ``height``, ``width`` and ``channels``.
        labels: their names.
        late: by how many steps the scores are late.
    """
    axes = [axis for axis in ("height", "width", "channels") if axis in sizes]
    port = {"name": FRAMES, "dtype": "uint8", "axes": [BATCH, TIME, *axes]}
    if not axes:
        port = {"name": TOKENS, "dtype": "int64", "axes": [BATCH, TIME], "below": "vocab"}
    return {
        "family": "tagger",
        "inputs": [port],
        "sizes": {**sizes, CLASSES: len(labels)},
        "layers": [*layers, _layer("head", "linear", "rnn", width=CLASSES)],
        "outputs": {SCORES: "head"},
        "labels": {CLASSES: list(labels)},
        "latency_frames": late,
    }


def _layer(name: str, kind: str, *inputs: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "inputs": list(inputs), "options": options}
