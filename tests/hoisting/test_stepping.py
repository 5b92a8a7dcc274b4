"""Networks of which a call is a step: their state in arguments, attributes and buffers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import ContractError
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from tests.hoisting.drawn import drawn


class LazyAttribute(nn.Module):
    """Nothing at first, then a tuple of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(5, 8, 2, batch_first=True), nn.Linear(8, 4)
        self.hidden: Any = None

    def forward(self, x: Tensor) -> Tensor:
        y, self.hidden = self.lstm(x, self.hidden)
        return self.out(y)


def test_a_call_of_any_length_is_steps_and_the_network_stays_as_it_was():
    network = drawn(LazyAttribute())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    hoisted = hoist(network, {"x": "float32[batch, time, 5]"})
    assert [state.name for state in hoisted.found.states] == ["hidden_0", "hidden_1"]
    assert hoisted.found.open_time
    assert prove(hoisted).error <= 1e-5
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


class Grows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.seen = nn.GRUCell(5, 5), []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.cell(x, torch.stack(self.seen).mean(0))


def test_state_that_grows_is_refused():
    with pytest.raises(ContractError, match=r"self\.seen has another form after every call"):
        hoist(drawn(Grows()), {"x": "float32[batch, 5]"})


class WordModel(nn.Module):
    """Words of all rows in one axis, time first, log-probabilities, tied weights, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.rnn = nn.Embedding(20, 8), nn.LSTM(8, 8, 2, dropout=0.5)
        self.decoder, self.drop = nn.Linear(8, 20), nn.Dropout(0.5)
        self.decoder.weight = self.encoder.weight

    def init_hidden(self, rows: int) -> tuple[Tensor, Tensor]:
        weight = next(self.parameters())
        return weight.new_zeros(2, rows, 8), weight.new_zeros(2, rows, 8)

    def forward(self, words: Tensor, hidden: Any) -> tuple[Tensor, Any]:
        made, hidden = self.rnn(self.drop(self.encoder(words)), hidden)
        scores = self.decoder(self.drop(made)).view(-1, 20)
        return torch.log_softmax(scores, 1), hidden


class RowsFirst(nn.Module):
    """The same with rows first."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0].reshape(-1, 4))


@pytest.mark.parametrize(
    ("net", "inputs", "axes"),
    [
        (WordModel, {"words": "int64[time, batch] below 20"}, ("time", "batch", "y_2")),
        (RowsFirst, {"x": "float32[batch, time, 3]"}, ("batch", "time", "y_2")),
    ],
)
def test_rows_and_frames_in_one_axis_get_two(net, inputs, axes):
    hoisted = hoist(drawn(net()), inputs)
    assert hoisted.contract.step.outputs[0].axes == axes
    assert "dropout" not in str(hoisted.step.graph)
    assert prove(hoisted, steps=40).error <= 1e-5


class NormalizedCells(nn.Module):
    """A loop over the frames of a call, and a pair that could be read as rows of one tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs, self.hidden = nn.Linear(3, 16), nn.Linear(4, 16, bias=False)
        self.gates, self.cell = nn.LayerNorm(16), nn.LayerNorm(4)

    def forward(self, x: Tensor, hc: Any = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h = c = torch.zeros(x.size(0), 4)
        if hc is not None:
            h, c = hc
        made = []
        for frame in x.unbind(1):
            i, f, g, o = self.gates(self.inputs(frame) + self.hidden(h)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(self.cell(c))
            made.append(h)
        return torch.stack(made, 1), (h, c)


def test_a_pair_is_taken_whole_and_a_call_of_one_frame_has_its_time_axis():
    hoisted = hoist(drawn(NormalizedCells()), {"x": "float32[batch, time, 3]"})
    assert [state.name for state in hoisted.found.states] == ["hc_0", "hc_1"]
    assert hoisted.contract.step.outputs[0].axes == ("batch", "time", "y_2")
    assert prove(hoisted, steps=40).error <= 1e-5
