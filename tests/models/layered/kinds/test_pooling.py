"""Pooling to another grid against torch's own, whatever the two sides are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgernn.errors import UsageError
from edgernn.importers.invariances import session_model
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network


def network(regions: int, side: int) -> Network:
    """Return a network whose context is the pooled grid."""
    frame = {"name": "frame", "axes": ["batch", "time", "width"]}
    config = NetworkConfig.model_validate(
        {
            "family": "module",
            "inputs": [frame],
            "given": [{"name": "grid", "axes": ["batch", "regions", "width"]}],
            "sizes": {"width": 4, "regions": regions},
            "encode": [
                {"name": "pooled", "kind": "pool", "inputs": ["grid"], "options": {"side": side}}
            ],
            "contexts": {"seen": "pooled"},
            "layers": [{"name": "look", "kind": "attention", "inputs": ["seen", "seen", "frame"]}],
            "outputs": {"y": "look"},
        }
    )
    return Network(config).eval()


@pytest.mark.parametrize(("grid", "side"), [(8, 14), (7, 7), (3, 5), (5, 3), (4, 1), (1, 3)])
def test_as_adaptive_average_pooling(grid: int, side: int) -> None:
    maps = torch.randn(2, 4, grid, grid)
    contexts, _ = session_model(network(grid**2, side)).begin(
        {"grid": maps.flatten(2).transpose(1, 2).contiguous().numpy()}
    )
    expected = torch.nn.functional.adaptive_avg_pool2d(maps, side).flatten(2).transpose(1, 2)
    np.testing.assert_allclose(contexts["seen"], expected.numpy(), atol=1e-6)


def test_what_is_no_grid() -> None:
    with pytest.raises(UsageError, match="expected a square grid of regions"):
        network(12, 2)
