"""What is written otherwise before LiteRT's converter sees it."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from edgernn.export.to_litert.convert import spread


class Placed(torch.nn.Module):
    """Puts maps that are the same for every row beside what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("where", torch.arange(32.0).reshape(1, 2, 4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x, self.get_buffer("where").expand(x.shape[0], -1, -1, -1)), 1)


@pytest.mark.parametrize("rows", [1, 3])
def test_maps_of_every_row_are_joined_and_not_expanded(rows: int) -> None:
    x = torch.ones(rows, 3, 4, 4)
    module = torch.export.export(Placed(), (x,)).module()
    spread(module.graph)
    module.recompile()
    assert torch.equal(module(x), Placed()(x))
    expanded = module.graph.find_nodes(op="call_function", target=torch.ops.aten.expand.default)
    assert rows == 1 or not list(expanded)
