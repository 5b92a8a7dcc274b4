"""A step face computes what the step computes, in products that have names."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, fx, nn

from edgernn.hoisting.convolutions import Convolution
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.model import HoistedModel
from tests.hoisting.drawn import drawn


class Written(nn.Module):
    """A cell in every way to say a product with a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.into, self.hidden = nn.Parameter(torch.zeros(4, 6)), nn.Parameter(torch.zeros(6, 6))
        self.more, self.bias = nn.Parameter(torch.zeros(6, 6)), nn.Parameter(torch.zeros(6))
        self.left = nn.Parameter(torch.zeros(3, 6))

    def forward(self, ids: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.einsum("bk,kn->bn", self.table(ids), self.into)
        h = torch.tanh(x + torch.addmm(self.bias, h, self.hidden) + h @ self.more)
        return (self.left @ h.T).T, h


class Convolved(nn.Module):
    """Convolutions over time and over another axis, in groups, apart, and padded."""

    def __init__(self) -> None:
        super().__init__()
        self.apart = nn.Conv1d(4, 4, 3, groups=4)
        self.groups = nn.Conv1d(4, 6, 2, groups=2, dilation=2, bias=False)
        self.plane = nn.Conv2d(1, 2, (2, 3), stride=(1, 2), padding=(0, 1))
        self.gru, self.out = nn.GRU(6, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)  # [B, 4, T]
        x = self.apart(nn.functional.pad(x, (2, 0)))
        x = self.groups(nn.functional.pad(x, (2, 0)))  # [B, 6, T]
        plane = nn.functional.pad(x.transpose(1, 2)[:, None], (0, 0, 1, 0))  # [B, 1, T + 1, 6]
        x = self.plane(plane).transpose(1, 2).flatten(2)  # [B, T, 6]
        return self.out(self.gru(x)[0])


WRITTEN = {"table", "into", "hidden", "more", "left"}
CONVOLVED = {"groups", "groups_1", "plane", "gru/0/from_input", "gru/0/from_hidden", "out"}


def faces(net: nn.Module, example: dict[str, str]) -> tuple[HoistedModel, HoistedModel]:
    state = {"h": lambda rows: torch.zeros(rows, 6)} if "ids" in example else None
    model = HoistedModel(hoist(drawn(net), example, state=state)).eval()
    return model, copy.deepcopy(model).step_face().in_products()


def example_of(model: HoistedModel) -> list[Tensor]:
    given = model._examples()
    return [t if t.dtype == torch.int64 else torch.randn(t.shape) for t in given]


@pytest.mark.parametrize(
    ("net", "example", "names"),
    [
        (Written(), {"ids": "int64[batch] below 7"}, WRITTEN),
        (Convolved(), {"x": "float32[batch, time, 4]"}, CONVOLVED),
    ],
)
def test_every_product_is_a_layer_with_a_name(net, example, names):
    model, face = faces(net, example)
    layers = {
        name: part
        for name, part in face.stepper.named_modules()
        if isinstance(part, (nn.Linear, nn.Embedding, Convolution))
    }
    assert layers.keys() == names
    given = example_of(model)
    for found, wanted in zip(face.stepper(*given), model.stepper(*given), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_convolutions_stay_what_they_are_for_formats_that_have_them():
    model = HoistedModel(hoist(drawn(Convolved()), {"x": "float32[batch, time, 4]"})).eval()
    face = copy.deepcopy(model).step_face()
    kept = [n for n, part in face.stepper.named_modules() if isinstance(part, Convolution)]
    assert kept == ["apart", "groups", "plane"]
    given = example_of(model)
    for found, wanted in zip(face.stepper(*given), model.stepper(*given), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_nothing_is_left_of_the_layer_that_became_products(kind: type[nn.RNNBase]) -> None:
    class Layered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = kind(4, 3, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x)[0]

    _, face = faces(Layered(), {"x": "float32[batch, time, 4]"})
    graphs = [part.graph for part in face.stepper.modules() if isinstance(part, fx.GraphModule)]
    called = {str(node.target) for graph in graphs for node in graph.nodes}
    assert "aten.add.Tensor" in called
    assert not any(name in called for name in ("aten.lstm.input", "aten.gru.input"))
    assert "aten.rnn_tanh.input" not in called
