"""Picture encoders beside a captioner: torchvision's ResNets as the children of a Sequential."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgernn.importers.sketch import Sketch

# the place of a child in ``list(resnet.children())`` → its name in torchvision's resnet.py
_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
_COUNTER = "num_batches_tracked"


def picture_encoder(
    sketch: Sketch, source: Mapping[str, np.ndarray], prefix: str, *, encoder: str, side: int
) -> str:
    """Add the encoder whose tensors begin with ``prefix`` to ``encode``, with a picture as what
    encode is given; return the name of its regions, nothing where it is no such encoder.

    Args:
        sketch: gets the layer, its input and its parameters.
        source: the encoder's tensors.
        prefix: of them, with its dot.
        encoder: a row of ``models.image_encoder.ENCODERS``.
        side: of the picture, in pixels.
    """
    import torch

    from edgernn.models.image_encoder import image_encoder

    with torch.device("meta"):
        wanted = {
            name: tuple(tensor.shape)
            for name, tensor in image_encoder(encoder, side).state_dict().items()
        }
    found = {name: array for name, array in _named(source, prefix).items() if name in wanted}
    counters = {name: np.zeros((), np.int64) for name in wanted if name.endswith(_COUNTER)}
    found = {**counters, **found}  # files of before torch 0.4.1 have none
    if {name: array.shape for name, array in found.items()} != wanted:
        return ""
    tensors = {f"encoder.{name}": array for name, array in found.items()}
    sketch.given.append(
        {"name": "image", "dtype": "uint8", "axes": ["batch", "height", "width", "channels"]}
    )
    sketch.sizes |= {"height": side, "width": side, "channels": 3}
    return sketch.add("image", "picture", "image", graph="encode", tensors=tensors, encoder=encoder)


def _named(source: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    made = {}
    for name, array in source.items():
        child, _, rest = name.removeprefix(prefix).partition(".")
        if name.startswith(prefix) and child in _CHILDREN:
            made[f"{_CHILDREN[child]}.{rest}"] = array
    return made
