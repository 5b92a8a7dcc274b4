"""What the tests of networks of layers share: descriptions, parameters from torch's own layers,
chained runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from edgernn.models.cells.blocks import Block
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.models.layered.tensors import recurrent_tensors

B, T, V = 2, 7, 11
TOKENS = {"name": "tokens", "dtype": "int64", "axes": ["batch", "time"], "below": "vocab"}


def layer(name: str, kind: str, *inputs: str, **options: Any) -> dict[str, Any]:
    """Return one layer of a description."""
    return {"name": name, "kind": kind, "inputs": list(inputs), "options": options}


def language(**changes: Any) -> dict[str, Any]:
    """Return the description of a language model of three LSTM layers of other widths, tied."""
    layers = [
        layer("embedding", "embedding", "tokens", width=5),
        layer("rnn0", "recurrent", "embedding", cell="lstm", hidden=8),
        layer("rnn1", "recurrent", "rnn0", cell="lstm", hidden=6),
        layer("rnn2", "recurrent", "rnn1", cell="lstm", hidden=5),
        layer("head", "linear", "rnn2", width="vocab", tied="embedding"),
    ]
    return {
        "family": "language",
        "inputs": [TOKENS],
        "sizes": {"vocab": V},
        "layers": layers,
        "outputs": {"logits": "head"},
        **changes,
    }


def filled(config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Network:
    """Return the network of ``config`` with these parameters, all of them."""
    network = Network(NetworkConfig.model_validate(config)).eval()
    parameters = dict(network.named_parameters())
    assert parameters.keys() == tensors.keys()
    with torch.no_grad():
        for name, tensor in tensors.items():
            parameters[name].copy_(tensor)
    return network


def blocks(fused: nn.RNNBase) -> list[Block]:
    """Return what torch's layer learned."""
    return [Block(*(t.detach().numpy() for t in weights)) for weights in fused.all_weights]


def parameters(name: str, cell: str, fused: nn.RNNBase, **more: Any) -> dict[str, torch.Tensor]:
    """Return the parameters of torch's layer under the network's names."""
    made = recurrent_tensors(name, cell, blocks(fused), **more)
    return {key: torch.from_numpy(np.array(value)) for key, value in made.items()}


def module(*layers: dict[str, Any], width: int, out: str, **more: Any) -> dict[str, Any]:
    """Return the description of a network over frames ``x [B, T, width]`` that gives ``out``."""
    return {
        "family": "module",
        "inputs": [{"name": "x", "axes": ["batch", "time", "width"]}],
        "sizes": {"width": width},
        "layers": list(layers),
        "outputs": {"y": out},
        **more,
    }


def chained(network: Network, inputs: torch.Tensor) -> torch.Tensor:
    """Return the first output of the step, called for one frame after another."""
    contract, state, made = network.config.contract(), network.initial_state(len(inputs)), []
    assert contract.encode is None
    with torch.no_grad():
        for t in range(inputs.shape[1]):
            outputs = network.graph("step", inputs[:, t : t + 1], *state)
            made.append(outputs[0])
            state = outputs[len(contract.step.read_outputs) :]
    return torch.cat(made, 1)
