"""What cannot be carried from step to step is refused by name; what is asked can be answered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import rnn

from edgernn.errors import ContractError, UsageError
from edgernn.export.module_bundle import export_module
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from tests.hoisting.drawn import drawn


class Gru(nn.Module):
    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(3, 4), nn.Linear(4, 4)
        for name, value in attributes.items():
            setattr(self, name, value)


class TwoFit(Gru):
    def forward(self, x: Tensor, h: Tensor | None = None) -> Any:
        h = self.cell(x, h)
        return h.sum(1), torch.tanh(h), torch.sigmoid(h)


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)[0]


class PackedWhole(Packed):
    def forward(self, x: Tensor) -> Tensor:
        lengths = torch.full((len(x),), x.shape[1])
        return super().forward(x, lengths)


class RandomStart(Gru):
    def forward(self, x: Tensor) -> Tensor:
        self.h = self.cell(x, torch.randn(len(x), 4) if self.h is None else self.h)
        return self.h


class RandomMethod(Gru):
    def init_hidden(self, batch: int) -> Tensor:
        return torch.randn(batch, 4)

    def forward(self, x: Tensor, h: Tensor) -> Any:
        h = self.cell(x, h)
        return self.out(h), h


class DropoutLeftOn(Gru):
    def forward(self, x: Tensor, h: Tensor | None = None) -> Any:
        h = self.cell(functional.dropout(x, 0.5), h)
        return self.out(h), h


class Complex(Gru):
    def forward(self, x: Tensor) -> Tensor:
        self.z = 0.5j * self.z + torch.complex(x, x)
        return self.z.real


class HalfComplex(Gru):
    def start(self, batch: int) -> Tensor:
        return torch.zeros(batch, 3, dtype=torch.complex64)

    def forward(self, x: Tensor, z: Tensor) -> Any:
        z = 0.5j * z + x
        return z.abs(), z


class Brain(Gru):
    def forward(self, x: Tensor) -> Tensor:
        self.z = 0.5 * self.z + x.bfloat16()
        return self.z.float()


class Indexes(Gru):
    """A number of Python chooses a weight."""

    def forward(self, x: Tensor) -> Tensor:
        self.t = (self.t + 1) % 4
        return x * self.out.weight[self.t, :3]


class Branches(Gru):
    def forward(self, x: Tensor) -> Tensor:
        self.t += 1
        h = self.cell(x, self.h)
        if self.t % 2 == 0:
            self.h = h
        return h


class Partly(Gru):
    """The mean of what a queue holds while it fills."""

    def forward(self, x: Tensor) -> Tensor:
        self.past = [*self.past, x][-3:]
        return torch.stack(self.past).mean(0)


class FromTheInput(Gru):
    def forward(self, x: Tensor) -> Tensor:
        self.h = self.cell(x, self.out(x @ self.cell.weight_ih[:4].T) if self.h is None else self.h)
        return self.h


class OfNumpy(Gru):
    def forward(self, x: Tensor) -> Tensor:
        self.z = 0.9 * self.z + x.numpy()
        return torch.from_numpy(self.z)


class ToAFloat(Gru):
    def forward(self, x: Tensor) -> Tensor:
        self.z = 0.9 * self.z + float(x.mean())
        return x * self.z


class Unseen(Gru):
    """An object of the user's own that is made in the first call."""

    def forward(self, x: Tensor) -> Tensor:
        if self.cache is None:
            self.cache = SimpleNamespace(h=torch.zeros(len(x), 4))
        self.cache.h = self.cell(x, self.cache.h)
        return self.out(self.cache.h)


class Outside(Gru):
    memory: ClassVar[dict[str, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        self.memory["h"] = self.cell(x, self.memory.get("h"))
        return self.memory["h"]


_X = {"x": "float32[batch, 3]"}
_T = {"x": "float32[batch, time, 3]"}


@pytest.mark.parametrize(
    ("net", "inputs", "said"),
    [
        (TwoFit(), _X, "--state h=2, or with --state h=1"),
        (Packed(), _T | {"lengths": "int64[batch]"}, r"test_refusals.py:\d+.* packs sequences"),
        (PackedWhole(), _T, r"test_refusals.py:\d+.* packs sequences"),
        (RandomStart(h=None), _X, r"draws random numbers"),
        (RandomMethod(), _X, "init_hidden makes another first state every time"),
        (DropoutLeftOn(), _X, r"test_refusals.py:\d+ .*dropout.* draws random numbers"),
        (Complex(z=torch.zeros(1, 3) * 1j), _X, r"self\.z is complex64, .*view_as_real"),
        (HalfComplex(), _X, "the argument z is complex64"),
        (Brain(z=torch.zeros(1, 3).bfloat16()), _X, r"self\.z is bfloat16.*float32"),
        (Branches(h=None, t=0), _X, r"test_refusals.py:\d+ turns a value"),
        (Partly(past=[]), _X, r"self\.past: calls from the first values"),
        (FromTheInput(h=None), _X, "first state is made of the first input"),
        (OfNumpy(z=torch.zeros(1, 3).numpy()), _X, r"self\.z holds a ndarray"),
        (Unseen(cache=None), _X, r"self\.cache keeps state between calls where it was not seen"),
        (Outside(), _X, r"two runs .* differ: .* keeps state outside of itself"),
        (Indexes(t=0), _X, r"test_refusals.py:\d+ turns a value"),
        (ToAFloat(z=0.0), _X, r"test_refusals.py:\d+ turns a value"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(net, inputs, said):
    with pytest.raises((ContractError, UsageError), match=said):
        hoist(drawn(net), inputs)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_scripted_module_is_told_what_to_do():
    with pytest.raises(UsageError, match=r"TorchScript module.*give the module"):
        hoist(torch.jit.script(nn.GRUCell(3, 4)), {"input": "float32[batch, 3]"})


def test_a_network_in_float64_is_told_before_it_is_exported(tmp_path):
    with pytest.raises(UsageError, match=r"input is float64.*net\.float\(\)"):
        export_module(
            nn.GRUCell(3, 4).double(), {"input": "float64[batch, 3]"}, tmp_path / "net.edgernn"
        )


def test_what_was_asked_is_answered():
    hoisted = hoist(drawn(TwoFit()), _X, pairs={"h": 1})
    assert prove(hoisted).error <= 1e-5


class Everything(Gru):
    """Buffers, a queue, an object that each call replaces, a hook, draws that never matter."""

    def __init__(self) -> None:
        super().__init__(past=[torch.zeros(1, 4)], h=None, last=object())
        self.register_buffer("count", torch.zeros(()))
        self.norm = nn.BatchNorm1d(4)
        self.cell.register_forward_hook(lambda *_: self.seen.append(1))
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.h = self.cell(x, self.h)
        self.count.add_(1)
        self.past.append(self.h)
        self.past.pop(0)
        self.last = torch.distributions.Normal(self.h, torch.rand(()) * 0 + 1)
        return self.norm(self.h) / self.count + self.past[0]


def test_the_network_is_left_exactly_as_it_was():
    net = drawn(Everything()).train()
    net.norm.eval()
    net.out.weight.requires_grad_(False)
    before = {name: dict(vars(m)) for name, m in net.named_modules()}
    buffers = {name: (b, b.clone()) for name, b in net.named_buffers()}
    grads = [p.requires_grad for p in net.parameters()]
    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    hoisted = hoist(net, _X)
    assert prove(hoisted, steps=16).error <= 1e-5
    assert torch.equal(torch.rand(3), wanted), "random numbers go on as they would have"
    for name, module in net.named_modules():
        assert vars(module).keys() == before[name].keys()
        assert all(vars(module)[key] is value for key, value in before[name].items()), name
    assert net.past[0].tolist() == [[0.0] * 4]
    assert all(b is buffers[n][0] and b.equal(buffers[n][1]) for n, b in net.named_buffers())
    assert [p.requires_grad for p in net.parameters()] == grads
    assert net.training
    assert not net.norm.training


X = "float32[batch, time, 3]"


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.größe, self.頭 = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)
        self.register_buffer("mask", torch.zeros(2))

    def forward(self, x: Tensor) -> Any:
        return {"ответ": self.頭(self.größe(x)[0]) + self.mask}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(value: float) -> None:
    net = drawn(Plain())
    net.größe.weight_hh_l0.data[0, 0] = value
    says = rf"not finite: größe.weight_hh_l0 \(1 of 48 values, the first {value}\)"
    with pytest.raises(UsageError, match=says):
        hoist(net, {"x": X})
    net = drawn(Plain())
    net.mask.data[0] = value
    with pytest.raises(ContractError, match=r"not finite, and so are mask \(1 of 2"):
        prove(hoist(net, {"x": X}))


def test_an_example_that_is_not_finite_is_told() -> None:
    example = torch.zeros(2, 5, 3)
    example[1, 2, 0] = float("nan")
    with pytest.raises(UsageError, match="the example of x has 1 of 30 values that are not finite"):
        hoist(drawn(Plain()), {"x": example})


@pytest.mark.parametrize("name", ["été", "1x", "my x", "_x", "x.y"])
def test_a_name_that_no_tensor_can_have_is_told_with_what_to_do(name: str) -> None:
    with pytest.raises(UsageError, match=rf"the argument '{name}' cannot be .* call it otherwise"):
        hoist(drawn(Plain()), {name: X})


def test_names_of_layers_and_results_are_brought_into_the_grammar() -> None:
    hoisted = hoist(drawn(Plain()), {"x": X})
    assert [state.name for state in hoisted.found.states] == ["gr_e_h"]
    assert [made.name for made in hoisted.found.outputs] == ["y"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("y", X, "forward takes no 'y'.*expected one of x"),
        ("x", "float32[batch, time, 100000000]", "x has 100,000,000 values .* 0.4 GB"),
        ("x", "float32[batch, time, 34000000]", "Expected 3, got 34000000"),
    ],
)
def test_what_the_network_does_not_take_is_told_at_once(name: str, text: str, says: str) -> None:
    with pytest.raises((UsageError, ContractError), match=says):
        hoist(drawn(Plain()), {name: text})
