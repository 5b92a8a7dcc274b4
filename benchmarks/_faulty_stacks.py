"""Tiny described networks of layers that are no recurrent cell, made without training."""

from __future__ import annotations

from typing import Any

import torch

from edgernn.models.checkpoint import Checkpoint
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network

_FRAMES = {"name": "frames", "axes": ["batch", "time", "height", "width", "channels"]}
_NETWORKS: dict[str, dict[str, Any]] = {
    "conv_lstm": {
        "inputs": [{**_FRAMES, "dtype": "uint8"}],
        "sizes": {"height": 4, "width": 5, "channels": 2},
        "layers": [
            ("numbers", "frames", "frames", {}),
            ("rnn", "conv_lstm", "numbers", {"width": 3}),
        ],
        "outputs": {"y": "rnn"},
    },
    "frames": {
        "inputs": [_FRAMES],
        "sizes": {"height": 8, "width": 8, "channels": 3},
        "layers": [("rnn", "conv_lstm", "frames", {"width": 16})],
        "outputs": {"y": "rnn"},
    },
    "causal_convolution": {
        "inputs": [{"name": "x", "axes": ["batch", "time", "width"]}],
        "sizes": {"width": 5},
        "layers": [("tcn", "causal_convolution", "x", {"hidden": 8, "layers": 3})],
        "outputs": {"y": "tcn"},
    },
    "labelled": {
        "inputs": [{"name": "x", "axes": ["batch", "time", "width"]}],
        "sizes": {"width": 5, "classes": 3},
        "layers": [
            ("rnn", "recurrent", "x", {"cell": "gru", "hidden": 8}),
            ("head", "linear", "rnn", {"width": "classes"}),
        ],
        "outputs": {"logits": "head"},
        "labels": {"classes": ["cold", "mild", "hot"]},
    },
}


def described_checkpoint(*, name: str) -> Checkpoint:
    """Return a seeded network of ``_NETWORKS``; no parameter is zero, so that a lost one shows."""
    held = _NETWORKS[name]
    layers = [
        {"name": own, "kind": kind, "inputs": [given], "options": options}
        for own, kind, given, options in held["layers"]
    ]
    torch.manual_seed(3)
    described = {"family": "module", **held, "layers": layers}
    network = Network(NetworkConfig.model_validate(described)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return Checkpoint(network, None)
