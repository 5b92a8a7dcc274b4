"""A sketch: the names that it gives, what it leaves out of options, and the network that it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.errors import UsageError
from edgernn.importers.sketch import Sketch
from edgernn.models.cells.blocks import Block
from edgernn.models.layered.network import Network


def block(layer: nn.RNNBase) -> Block:
    """Return what torch's one layer learned."""
    (weights,) = layer.all_weights
    return Block(*(tensor.detach().numpy() for tensor in weights))


def test_names_are_those_of_the_pattern_and_each_is_given_once() -> None:
    sketch = Sketch()
    wanted = ["Dense 1", "dense_1", "0 first", "", "x" * 50]
    assert [sketch.free(name) for name in wanted] == [
        "dense_1", "dense_1_2", "layer_0_first", "layer", "x" * 32,
    ]  # fmt: skip


def test_layers_are_numbered_by_their_word() -> None:
    sketch = Sketch()
    frames = sketch.takes_frames("x", 3, axis="width")
    for wanted in ("scale0", "scale1"):
        assert sketch.numbered("scale") == wanted
        sketch.add("scale", wanted, frames, factor=2.0)
    assert sketch.numbered("linear") == "linear0"


def test_a_stored_first_state_and_a_head_without_bias_are_what_torch_computes() -> None:
    gru, head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2, bias=False)
    start = torch.randn(1, 1, 4)
    sketch = Sketch()
    frames = sketch.takes_frames("x", 3, axis="width")
    first = {"h": start[0].numpy()}
    rnn = sketch.recurrent("rnn", "gru", [block(gru)], frames, first=first)
    out = sketch.linear("out", rnn, head.weight.detach().numpy(), None)
    config = sketch.config("module", {"y": out})
    assert config.layers[0].options == {"cell": "gru", "hidden": 4, "first": "stored"}
    assert config.layers[1].options == {"width": 2, "bias": False}
    network, x = Network(config).eval(), torch.randn(1, 6, 3)
    state = {name: torch.from_numpy(np.array(array)) for name, array in sketch.tensors.items()}
    network.load_state_dict(state)
    with torch.no_grad():
        y, *_ = network.graph("step", x, *network.initial_state(1))
        torch.testing.assert_close(y, head(gru(x, start)[0]))


def test_a_network_whose_layers_do_not_fit_is_refused() -> None:
    sketch = Sketch()
    ids = sketch.takes_ids(5)
    sketch.add("scale", "scale0", ids, factor=2.0)
    with pytest.raises(UsageError, match="scale0"):
        sketch.config("module", {"y": "scale0"})
