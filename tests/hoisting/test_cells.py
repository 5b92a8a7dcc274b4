"""A recurrent layer over one frame as products: the layer itself goes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgernn.hoisting.cells import has_layers, step_face
from edgernn.sessions.quiet import quiet


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_no_node_of_the_layer_stays(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    layer = kind(3, 4, num_layers=2, batch_first=True).eval()
    x, h, c = torch.rand(1, 1, 3), torch.rand(2, 1, 4), torch.rand(2, 1, 4)
    examples = (x, (h, c)) if kind is nn.LSTM else (x, h)
    with quiet():  # torch warns of what its own layers do
        step = torch.export.export(layer, examples).module()
    assert has_layers(step)
    flat = (x, h, c) if kind is nn.LSTM else (x, h)
    made = step_face(step, flat)
    assert not has_layers(made)
    with torch.no_grad():
        wanted, found = torch.utils._pytree.tree_leaves(layer(*examples)), made(*flat)
    for one, other in zip(wanted, torch.utils._pytree.tree_leaves(found), strict=True):
        torch.testing.assert_close(one, other)
