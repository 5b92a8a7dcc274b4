"""The stroke against its equation in numpy, over steps whose pen goes on from where it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgernn.errors import UsageError
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from tests.models.layered.networks import layer

_HEIGHT, _WIDTH = 5, 7


def _described(**sizes: int) -> dict[str, Any]:
    return {
        "family": "module",
        "inputs": [
            {"name": "point", "axes": ["batch", "time", "coordinates"]},
            {"name": "pressure", "axes": ["batch", "time", "two"]},
        ],
        "sizes": {"coordinates": 2, "two": 2, "height": _HEIGHT, "width": _WIDTH, **sizes},
        "layers": [
            layer("was", "before", layer="pen"),
            layer("drawn", "stroke", "was", "point", "pressure", height="height", width="width"),
            layer("pen", "keep", "point", width="coordinates"),
        ],
        "outputs": {"picture": "drawn"},
    }


def _stroke(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    """Return the canvas ``[H, W]`` after a line from a to b, pixel by pixel."""
    made, ends = canvas.copy(), (np.array([_HEIGHT, _WIDTH]) - 1) / 2
    first, last = (a + 1) * ends, (b + 1) * ends
    way = last - first
    for place in np.ndindex(_HEIGHT, _WIDTH):
        away = np.array(place) - first
        t = np.clip(away @ way / (way @ way + 0.01), 0, 1)
        off = away - t * way
        ink = pressure[0] * np.exp(-(0.2 + 1.8 * pressure[1]) * (off @ off))
        made[place] = 1 - (1 - canvas[place]) * (1 - ink)
    return made


def test_each_line_goes_on_from_the_last_and_is_that_of_the_equation() -> None:
    network = Network(NetworkConfig.model_validate(_described())).eval()
    rng = np.random.default_rng(3)
    points = rng.uniform(-1, 1, (4, 2, 2)).astype(np.float32)
    points[2] = points[1]  # the pen stays: a dot
    pressures = rng.uniform(0, 1, (4, 2, 2)).astype(np.float32)
    state = network.initial_state(2)
    names = [spec.name for spec in network.config.contract().step.states]
    was, canvas = np.zeros((2, 2)), np.zeros((2, _HEIGHT, _WIDTH))
    for point, pressure in zip(points, pressures, strict=True):
        given = [torch.from_numpy(array[:, None]) for array in (point, pressure)]
        picture, *state = network.graph("step", *given, *state)
        for row in range(2):
            canvas[row] = _stroke(canvas[row], was[row], point[row], pressure[row])
        was = point
        assert np.allclose(picture[:, 0].numpy(), canvas, atol=1e-5)
        held = dict(zip(names, state, strict=True))
        assert torch.equal(held["drawn"], picture[:, 0])
        assert np.array_equal(held["pen"].numpy(), point)


def test_a_pressure_of_another_width_is_refused() -> None:
    with pytest.raises(UsageError, match=r"stroke layer 'drawn': it takes two points and a press"):
        Network(NetworkConfig.model_validate(_described(two=3)))
