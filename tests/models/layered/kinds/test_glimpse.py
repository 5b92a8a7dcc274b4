"""The glimpse against its equation in numpy, and a location that a step leaves to the next."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgernn.errors import UsageError
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from tests.models.layered.networks import layer

_HEIGHT, _WIDTH, _SIDE, _STRIDES = 9, 7, 4, (1, 3)


def _described(**changes: Any) -> dict[str, Any]:
    return {
        "family": "module",
        "given": [
            {"name": "image", "dtype": "uint8", "axes": ["batch", "height", "width", "channels"]}
        ],
        "encode": [layer("grey", "grey", "image")],
        "contexts": {"picture": "grey"},
        "inputs": [{"name": "move", "axes": ["batch", "time", "coordinates"]}],
        "sizes": {"height": _HEIGHT, "width": _WIDTH, "channels": 1, "coordinates": 2},
        "layers": [
            layer("past", "before", layer="location"),
            layer("now", "add", "past", "move"),
            layer("crops", "glimpse", "picture", "now", side=_SIDE, strides=list(_STRIDES)),
            layer("location", "keep", "now", width="coordinates"),
        ],
        "outputs": {"seen": "crops"},
        **changes,
    }


def _crops(picture: np.ndarray, y: float, x: float) -> np.ndarray:
    """Return the crops of ``picture [H, W]`` as the docstring's equation has them."""
    made = []
    for stride in _STRIDES:
        for i in range(_SIDE):
            for j in range(_SIDE):
                p = (y + 1) / 2 * (_HEIGHT - 1) + (i - (_SIDE - 1) / 2) * stride
                q = (x + 1) / 2 * (_WIDTH - 1) + (j - (_SIDE - 1) / 2) * stride
                down = np.maximum(0, 1 - np.abs(np.arange(_HEIGHT) - p) / stride) / stride
                across = np.maximum(0, 1 - np.abs(np.arange(_WIDTH) - q) / stride) / stride
                made.append(down @ picture @ across)
    return np.array(made)


def test_each_look_is_where_the_last_one_left_off_and_sees_the_published_crops() -> None:
    network = Network(NetworkConfig.model_validate(_described())).eval()
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (2, _HEIGHT, _WIDTH, 1)).astype(np.uint8)
    moves = rng.uniform(-0.7, 0.7, (3, 2, 1, 2)).astype(np.float32)
    (picture,) = network.graph("encode", torch.from_numpy(image))
    at, (state,) = np.zeros((2, 2)), network.initial_state(2)
    for move in moves:
        seen, state = network.graph("step", torch.from_numpy(move), picture, state)
        at = at + move[:, 0]
        for row in range(2):
            wanted = _crops(image[row, ..., 0] / 255, *at[row])
            assert np.allclose(seen[row, 0].numpy(), wanted, atol=1e-5)
        assert np.allclose(state.numpy(), at, atol=1e-6)
    contract = network.config.contract()
    assert contract.sizes["time"] == 1
    assert [(s.name, s.axes) for s in contract.step.states] == [
        ("location", ("batch", "coordinates"))
    ]


def test_a_picture_without_size_and_a_location_of_three_numbers_are_refused() -> None:
    sizes = {"width": _WIDTH, "channels": 1, "coordinates": 2}
    with pytest.raises(UsageError, match="grey layer 'grey': it takes a grey picture"):
        Network(NetworkConfig.model_validate(_described(sizes=sizes)))
    sizes = {"height": _HEIGHT, "width": _WIDTH, "channels": 1, "coordinates": 3}
    with pytest.raises(UsageError, match=r"its location is float32\[batch, time, .*=3\]"):
        Network(NetworkConfig.model_validate(_described(sizes=sizes)))


def test_a_canvas_is_the_sum_of_all_steps() -> None:
    described = {
        "family": "module",
        "inputs": [{"name": "ink", "axes": ["batch", "time", "pixels"]}],
        "sizes": {"pixels": 6, "height": 2, "width": 3},
        "layers": [layer("canvas", "canvas", "ink", height="height", width="width")],
        "outputs": {"picture": "canvas"},
    }
    network = Network(NetworkConfig.model_validate(described)).eval()
    ink = torch.randn(4, 2, 1, 6)  # four steps of two rows
    (state,) = network.initial_state(2)
    for step in range(4):
        picture, state = network.graph("step", ink[step], state)
        wanted = ink[: step + 1].sum(0).reshape(2, 1, 2, 3)
        assert torch.allclose(picture, wanted, atol=1e-6)
        assert torch.equal(state, picture[:, 0])
    described["sizes"] = {"pixels": 6, "height": 2, "width": 2}
    with pytest.raises(UsageError, match=r"expected \[batch, time, 4\]"):
        Network(NetworkConfig.model_validate(described))
