"""Layers over the picture of each frame against the sums that define them, in float64."""

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

B, T, C, H, W = 2, 3, 3, 6, 8
PICTURES = {
    "name": "frames",
    "dtype": "uint8",
    "axes": ["batch", "time", "height", "width", "channels"],
}
NUMBERS = layer("numbers", "frames", "frames")


def _network(*layers: dict[str, Any], **more: Any) -> Network:
    """Return a seeded network of ``layers`` over pictures that gives the last one."""
    config = {
        "family": "module",
        "inputs": [PICTURES],
        "sizes": {"height": H, "width": W, "channels": C},
        "layers": list(layers),
        "outputs": {"y": layers[-1]["name"]},
        **more,
    }
    network = Network(NetworkConfig.model_validate(config)).eval()
    torch.manual_seed(3)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5) if "running_var" in name else tensor.uniform_(-0.5, 0.5)
    return network


def _pictures() -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(256, (B, T, H, W, C), dtype=torch.uint8, generator=generator)


def _whole(network: Network, pictures: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return network.graph("step", pictures, *network.initial_state(B))[0].numpy()


def _maps(pictures: torch.Tensor) -> np.ndarray:
    return (pictures.numpy().astype(np.float64) - 127.5).transpose(0, 1, 4, 2, 3) / 127.5


def _convolved(x: np.ndarray, weight: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """Return the sum over channels, rows and columns, place by place."""
    edge = [(0, 0)] * 3 + [(padding, padding)] * 2
    x, kernel = np.pad(x, edge), weight.shape[-1]
    rows, columns = ((side - kernel) // stride + 1 for side in x.shape[-2:])
    made = np.zeros((*x.shape[:2], len(weight), rows, columns))
    for i in range(rows):
        for j in range(columns):
            a, b = i * stride, j * stride
            seen = x[..., a : a + kernel, b : b + kernel]  # [B, T, C, K, K]
            made[..., i, j] = np.einsum("btcij,ocij->bto", seen, weight)
    return made


def test_pictures_become_maps_by_the_mean_and_deviation_of_each_channel() -> None:
    pictures = _pictures()
    assert np.allclose(_whole(_network(NUMBERS), pictures), _maps(pictures), atol=1e-6)
    given = {"mean": [1.0, 2.0, 3.0], "deviation": [4.0]}
    found = _whole(_network(layer("numbers", "frames", "frames", **given)), pictures)
    plain = pictures.numpy().transpose(0, 1, 4, 2, 3)
    assert np.allclose(found[:, :, 2], (plain[:, :, 2] - 3.0) / 4, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "normalise"),
    [(3, 1, None, False), (3, 2, 0, True), (5, 2, 1, True), (1, 1, None, False)],
)
def test_a_convolution_is_its_sum_in_every_face(
    kernel: int, stride: int, padding: int | None, normalise: bool
) -> None:
    own = {"kernel": kernel, "stride": stride, "normalise": normalise, "activation": "relu"}
    if padding is not None:
        own["padding"] = padding
    network = _network(NUMBERS, layer("conv", "frame_convolution", "numbers", width=5, **own))
    tensors = {name: t.double().numpy() for name, t in network.state_dict().items()}
    of = {name.rpartition("layers.conv.")[2]: array for name, array in tensors.items()}
    pictures, wide = _pictures(), (slice(None), None, None)
    edge = kernel // 2 if padding is None else padding
    y = _convolved(_maps(pictures), of["conv.weight"], stride, edge) + of["conv.bias"][wide]
    if normalise:
        scale = of["norm.weight"] / np.sqrt(of["norm.running_var"] + 1e-5)
        y = (y - of["norm.running_mean"][wide]) * scale[wide] + of["norm.bias"][wide]
    wanted = np.maximum(y, 0)
    assert wanted.any()
    assert np.allclose(_whole(network, pictures), wanted, atol=1e-5)
    assert np.allclose(chained(network.step_face(), pictures), wanted, atol=1e-5)
    products = network.in_products()
    assert any(isinstance(part, nn.Linear) for part in products.modules())
    assert not any(isinstance(part, nn.Conv2d) for part in products.modules())
    assert np.allclose(chained(products, pictures), wanted, atol=1e-5)


def test_a_convolution_of_groups_stays_one() -> None:
    own = {"width": 6, "groups": 3, "bias": False}
    network = _network(NUMBERS, layer("conv", "frame_convolution", "numbers", **own))
    weight = network.get_parameter("layers.conv.conv.weight").detach().double().numpy()
    pictures = _pictures()
    maps = _maps(pictures)
    parts = [_convolved(maps[:, :, g : g + 1], weight[2 * g : 2 * g + 2], 1, 1) for g in range(C)]
    wanted = np.concatenate(parts, 2)
    assert np.allclose(_whole(network, pictures), wanted, atol=1e-5)
    stepped = network.step_face().in_products()
    assert np.allclose(chained(stepped, pictures), wanted, atol=1e-5)


def test_pooling_takes_the_largest_or_the_mean_of_each_window() -> None:
    pictures = _pictures()
    tiles = _maps(pictures).reshape(B, T, C, H // 2, 2, W // 2, 2)
    for by, wanted in (("max", tiles.max((4, 6))), ("mean", tiles.mean((4, 6)))):
        network = _network(NUMBERS, layer("pool", "frame_pool", "numbers", by=by))
        assert np.allclose(_whole(network, pictures), wanted, atol=1e-6)
    network = _network(NUMBERS, layer("pool", "frame_pool", "numbers", kernel=3, stride=1))
    assert _whole(network, pictures).shape == (B, T, C, H - 2, W - 2)


def test_a_map_becomes_a_vector_and_a_recurrent_layer_takes_it() -> None:
    pictures = _pictures()
    flat = _whole(_network(NUMBERS, layer("v", "frame_vector", "numbers")), pictures)
    assert np.allclose(flat, _maps(pictures).reshape(B, T, C * H * W), atol=1e-6)
    own = layer("v", "frame_vector", "numbers", by="mean")
    assert np.allclose(_whole(_network(NUMBERS, own), pictures), _maps(pictures).mean((3, 4)))
    rnn = layer("rnn", "recurrent", "v", cell="gru", hidden=4)
    network = _network(NUMBERS, own, rnn)
    contract = network.config.contract()
    assert [state.name for state in contract.step.states] == ["h"]
    whole = _whole(network, pictures)
    assert np.allclose(chained(network, pictures), whole, atol=1e-6)
    assert np.allclose(chained(network.step_face(), pictures), whole, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([layer("x", "frames", "frames", mean=[1.0, 2.0])], "mean has 2 numbers, expected 1 or 3"),
        ([layer("x", "frame_convolution", "frames", width=2)], "expected vectors of floats"),
        (
            [NUMBERS, layer("x", "frame_convolution", "numbers", width=2, kernel=9, padding=0)],
            "its kernel is 9, wider than the picture [6, 8] with 0 around it",
        ),
        (
            [NUMBERS, layer("x", "frame_convolution", "numbers", width=2, groups=2)],
            "groups is 2, expected a divisor of the channels 3 and 2",
        ),
        ([NUMBERS, layer("x", "frame_pool", "numbers", kernel=7)], "its kernel is 7, wider than"),
        (
            [NUMBERS, layer("v", "frame_vector", "numbers"), layer("x", "frame_pool", "v")],
            "expected a map a frame [batch, time, channels, height, width]",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_the_layer(layers: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(UsageError, match="layer 'x': ") as error:
        _network(*layers)
    assert told in str(error.value)
