"""The convolutional LSTM against Shi et al. 2015, equation 3, in float64: every face and file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.errors import UsageError
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from tests.models.layered.networks import chained, layer

B, T, C, H, W, OWN = 2, 4, 2, 4, 5, 3
PICTURES = {
    "name": "frames",
    "dtype": "uint8",
    "axes": ["batch", "time", "height", "width", "channels"],
}


def network_of(*layers: dict[str, Any], out: str = "rnn", width: int = OWN, **own: Any) -> Network:
    """Return a seeded network of pictures, a convolutional LSTM, and ``layers`` after it."""
    config = {
        "family": "module",
        "inputs": [PICTURES],
        "sizes": {"height": H, "width": W, "channels": C},
        "layers": [
            layer("numbers", "frames", "frames"),
            layer("rnn", "conv_lstm", "numbers", width=width, **own),
            *layers,
        ],
        "outputs": {"y": out},
    }
    network = Network(NetworkConfig.model_validate(config)).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                drawn = torch.rand(tensor.shape, generator=generator) - 0.5
                tensor.copy_(drawn + 1 if "running_var" in name else 0.6 * drawn)
    return network


def pictures() -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(256, (B, T, H, W, C), dtype=torch.uint8, generator=generator)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the sum over channels, rows and columns, place by place, of ``x [B, I, H, W]``."""
    kernel = weight.shape[-1]
    wide = np.pad(x, [(0, 0)] * 2 + [(kernel // 2, kernel // 2)] * 2)
    made = np.zeros((len(x), len(weight), *x.shape[2:]))
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            seen = wide[:, :, i : i + kernel, j : j + kernel]
            made[:, :, i, j] = np.einsum("bcij,ocij->bo", seen, weight)
    return made


def expected(network: Network, given: torch.Tensor) -> np.ndarray:
    tensors = {name: t.double().numpy() for name, t in network.state_dict().items()}
    p = {name.removeprefix("layers.rnn."): array for name, array in tensors.items()}
    peep = p.get("peephole", np.zeros((3, OWN, H, W)))
    x = (given.numpy().astype(np.float64) - 127.5).transpose(0, 1, 4, 2, 3) / 127.5
    h = c = np.zeros((B, OWN, H, W))
    made = []
    for t in range(T):
        below = convolved(x[:, t], p["from_input.weight"])
        if "norm.weight" in p:
            mean, variance, scale, shift = (
                p[f"norm.{name}"][:, None, None]
                for name in ("running_mean", "running_var", "weight", "bias")
            )
            below = (below - mean) / np.sqrt(variance + 1e-5) * scale + shift
        a = below + convolved(h, p["from_hidden.weight"]) + p["from_hidden.bias"][:, None, None]
        i, f, g, o = np.split(a, 4, 1)
        c_next = sigmoid(f + peep[1] * c) * c + sigmoid(i + peep[0] * c) * np.tanh(g)
        h, c = sigmoid(o + peep[2] * c_next) * np.tanh(c_next), c_next
        made.append(h)
    return np.stack(made, 1)


@pytest.mark.parametrize(
    "own",
    [{}, {"kernel": 5, "normalise": True}, {"kernel": 1, "peepholes": True}],
    ids=["plain", "normalised", "peepholes"],
)
def test_it_is_its_equations_over_time_and_by_step(own: dict[str, Any]) -> None:
    network, given = network_of(**own), pictures()
    wanted = expected(network, given)
    assert np.abs(wanted).max() > 0.1
    with torch.no_grad():
        whole = network.graph("step", given, *network.initial_state(B))
    assert [tuple(tensor.shape) for tensor in whole[1:]] == [(B, OWN, H, W)] * 2
    np.testing.assert_allclose(whole[0], wanted, atol=1e-5)
    np.testing.assert_allclose(whole[1], wanted[:, -1], atol=1e-5)
    np.testing.assert_allclose(chained(network, given), wanted, atol=1e-5)
    np.testing.assert_allclose(chained(network.step_face(), given), wanted, atol=1e-5)
    products = network.in_products()
    assert not any(isinstance(part, nn.Conv2d) for part in products.modules())
    np.testing.assert_allclose(chained(products, given), wanted, atol=1e-5)


def test_its_states_are_maps_that_are_called_after_it() -> None:
    states = network_of().config.contract().step.states
    axes = ("batch", "rnn_width", "height", "width")
    assert [(state.name, state.axes) for state in states] == [("rnn_h", axes), ("rnn_c", axes)]


def test_normalised_it_learns_the_statistics_of_all_time_steps() -> None:
    network, given = network_of(normalise=True).train(), pictures()
    before = network.get_buffer("layers.rnn.norm.running_mean").clone()
    y = network.graph("step", given, *network.initial_state(B))[0]
    y.square().sum().backward()
    assert not torch.equal(network.get_buffer("layers.rnn.norm.running_mean"), before)
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_an_even_kernel_and_what_is_no_map_are_refused() -> None:
    with pytest.raises(UsageError, match="layer 'rnn': its kernel is 4, expected an odd number"):
        network_of(kernel=4)
    vector = layer("vector", "frame_vector", "rnn")
    with pytest.raises(UsageError, match=r"layer 'x': its input is .*, expected a map a frame"):
        network_of(vector, layer("x", "conv_lstm", "vector", width=2), out="x")
