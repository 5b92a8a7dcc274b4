"""The table of kinds of layers: what ``kind`` in a description may be, and where each is. A new
kind is one class and one row.

Rows hold strings, so reading the names imports nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

if TYPE_CHECKING:
    from edgernn.models.layered.layer import LayerModule

_KINDS = "edgernn.models.layered.kinds"
KINDS = {
    "embedding": f"{_KINDS}.embedding:Embedding",
    "linear": f"{_KINDS}.linear:Linear",
    "recurrent": f"{_KINDS}.recurrent:Recurrent",
    "activation": f"{_KINDS}.activation:Activation",
    "add": f"{_KINDS}.arithmetic:Add",
    "multiply": f"{_KINDS}.arithmetic:Multiply",
    "concat": f"{_KINDS}.arithmetic:Concat",
    "scale": f"{_KINDS}.arithmetic:Scale",
    "slice": f"{_KINDS}.arithmetic:Slice",
    "normalise": f"{_KINDS}.normalisation:Normalise",
    "layer_norm": f"{_KINDS}.normalisation:LayerNorm",
    "dropout": f"{_KINDS}.dropout:Dropout",
    "noise": f"{_KINDS}.noise:Noise",
    "convolution": f"{_KINDS}.convolution:Convolution",
    "bidirectional": f"{_KINDS}.bidirectional:Bidirectional",
    "causal_convolution": f"{_KINDS}.causal_convolution:CausalConvolution",
    "attention": f"{_KINDS}.attention:Attention",
    "before": f"{_KINDS}.states:Before",
    "run": f"{_KINDS}.states:Run",
    "image": f"{_KINDS}.pictures:Image",
    "mean": f"{_KINDS}.pictures:Mean",
    "keep": f"{_KINDS}.keeping:Keep",
    "canvas": f"{_KINDS}.keeping:Canvas",
    "stroke": f"{_KINDS}.stroke:Stroke",
    "grey": f"{_KINDS}.grey:Grey",
    "glimpse": f"{_KINDS}.glimpse:Glimpse",
    "opening": f"{_KINDS}.opening:Opening",
    "pool": f"{_KINDS}.pooling:Pool",
    "frames": f"{_KINDS}.frames:Frames",
    "conv_lstm": f"{_KINDS}.conv_lstm:ConvLSTM",
    "frame_convolution": f"{_KINDS}.frame_convolution:FrameConvolution",
    "frame_pool": f"{_KINDS}.frame_pooling:FramePool",
    "frame_vector": f"{_KINDS}.frames:FrameVector",
}

# what may stand where a recurrent layer stands, and is chosen as a cell is
OVER_TIME = ("causal_convolution",)
OVER_MAPS = ("conv_lstm",)  # likewise where a map a frame stands


def kind_class(kind: str) -> type[LayerModule]:
    """Return the class of a row; raise UsageError naming the known kinds."""
    if kind not in KINDS:
        raise UsageError(f"unknown kind of layer {kind!r}; {expected_one_of(kind, KINDS)}")
    module, _, attribute = KINDS[kind].partition(":")
    found: type[LayerModule] = getattr(importlib.import_module(module), attribute)
    return found
