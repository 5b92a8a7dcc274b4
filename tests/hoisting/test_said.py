"""What a user says of a network: which results are states, and which inputs are constant."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import ContractError, UsageError
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from tests.hoisting.drawn import drawn

X = "float32[batch, 5]"


class Made(NamedTuple):
    y: Tensor
    gate: Tensor
    hidden: Tensor


class Several(nn.Module):
    """Two results that both could be the next state; named in the forms of ``kind``."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.cell, self.gate, self.kind = nn.GRUCell(5, 6), nn.Linear(6, 6), kind

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Any:
        h = self.cell(x, hx)
        gate = torch.sigmoid(self.gate(h))
        y = (gate * h).sum(1)
        return {
            "tuple": lambda: (y, gate, h),
            "dict": lambda: {"y": y, "gate": gate, "last": h},
            "named": lambda: Made(y, gate, h),
            "nested": lambda: (y, {"gate": gate, "after": h}),
        }[self.kind]()


@pytest.mark.parametrize(
    ("kind", "result"),
    [("tuple", 2), ("tuple", "-1"), ("dict", "last"), ("named", "hidden"), ("nested", "1.after")],
)
def test_the_user_says_which_result_is_the_state(kind: str, result: str | int) -> None:
    hoisted = hoist(drawn(Several(kind)), {"x": X}, pairs={"hx": result})
    assert [state.name for state in hoisted.found.states] == ["hx"]
    assert [made.seen.dim() for made in hoisted.found.outputs] == [1, 2]
    assert prove(hoisted).error <= 1e-5


def test_several_results_that_would_do_are_asked_about() -> None:
    for kind, one, other in (("tuple", 2, 1), ("dict", "gate", "last")):
        with pytest.raises(UsageError, match=f"--state hx={one}, or with --state hx={other}"):
            hoist(drawn(Several(kind)), {"x": X})


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ({"h": 1}, r"takes no 'h'; expected one of x, hx; did you mean hx\?"),
        ({"hx": 3}, "gives no '3' there; it gives a place from 0 to 2"),
        ({"hx": "last"}, "gives no 'last' there"),
        ({"hx": 0}, r"--state hx=0: forward does not take that back.*a place from 0 to 2"),
    ],
)
def test_a_pairing_that_does_not_work_is_told(pairs: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        hoist(drawn(Several("tuple")), {"x": X}, pairs=pairs)


class Bare(nn.Module):
    """All that comes out is the state, as of torch's own cells."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        return self.cell(x, hx)


@pytest.mark.parametrize("cell", [nn.GRUCell, nn.LSTMCell])
def test_what_comes_out_whole_can_be_the_state(cell: Any) -> None:
    hoisted = hoist(drawn(Bare(cell(5, 6))), {"x": X})
    count = 1 + (cell is nn.LSTMCell)
    assert (len(hoisted.found.states), len(hoisted.found.outputs)) == (count, count)
    assert prove(hoisted).error <= 1e-5


class Decoder(nn.Module):
    """Attention over a memory that is the same at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.keys, self.query, self.cell = nn.Linear(7, 6), nn.Linear(6, 6), nn.GRUCell(5 + 7, 6)
        self.place = nn.Parameter(torch.zeros(40, 6))

    def start(self, batch: int) -> Tensor:
        return torch.ones(batch, 6) / 2

    def decode(self, x: Tensor, memory: Tensor, hx: Tensor) -> tuple[Tensor, Tensor]:
        keys = torch.tanh(self.keys(memory)) + self.place[: memory.shape[1]]
        weights = torch.softmax(torch.einsum("bsd,bd->bs", keys, self.query(hx)), 1)
        seen = torch.einsum("bsd,bs->bd", memory, weights)
        place = torch.arange(memory.shape[1], dtype=torch.float32)
        h = self.cell(torch.cat([x, seen], 1), hx)
        return h.sum(1) + (weights * place).sum(1), h


def test_a_context_becomes_the_input_of_encode() -> None:
    memory = "float32[batch, source, 7]"
    net = drawn(Decoder())
    hoisted = hoist(net, {"x": X, "memory": memory}, method="decode", context="memory")
    contract = hoisted.contract
    assert contract.encode is not None
    assert [spec.name for spec in contract.encode.inputs] == ["memory"]
    assert [spec.name for spec in contract.step.fresh_inputs] == ["x"]
    assert all("source" in spec.axes for spec in contract.step.contexts)
    assert contract.initial_state == {"hx": "stored"}
    assert prove(hoisted).error <= 1e-5
    assert "tanh" in hoisted.encode.code
    assert "tanh" not in hoisted.step.code, "the keys are computed once"


def test_the_axes_of_an_example_of_a_context_are_guessed() -> None:
    example = {"x": torch.zeros(2, 5), "memory": torch.zeros(2, 9, 7)}
    hoisted = hoist(drawn(Decoder()), example, method="decode", context="memory")
    assert hoisted.contract.encode is not None
    assert hoisted.contract.encode.inputs[0].axes == ("batch", "memory_length", "memory_2")


@pytest.mark.parametrize(
    ("context", "says"),
    [
        ("memori", r"--context memori is no input; expected one of x, memory; did you mean"),
        ("memory", r"--context memory .* has the axis time; call that axis otherwise"),
        (("x", "memory"), "has the axis time|leaves no input"),
    ],
)
def test_a_context_that_is_none_is_told(context: Any, says: str) -> None:
    memory = "float32[batch, time, 7]"
    with pytest.raises(UsageError, match=says):
        hoist(Decoder(), {"x": X, "memory": memory}, method="decode", context=context)


class Swapped(nn.Module):
    """Time first, as nn.LSTM has it by default."""

    def __init__(self, *, first: bool) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 6, batch_first=first)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


@pytest.mark.parametrize(
    ("net", "axes", "says"),
    [
        (Swapped(first=False), "batch, time, 5", r'"x: float32\[time, batch, 5\]" where it takes'),
        (Swapped(first=True), "time, batch, 5", r'"x: float32\[batch, time, 5\]" where it takes'),
        (Swapped(first=True), "batch, 5", r'"x: float32\[batch, time, 5\]" where it takes that'),
    ],
)
def test_axes_in_another_order_are_told(net: nn.Module, axes: str, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        hoist(drawn(net), {"x": f"float32[{axes}]"})


class OwnRows(nn.Module):
    """Two rows that begin with values of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(5, 6)
        self.register_buffer("h", torch.arange(12.0).view(2, 6))

    def forward(self, x: Tensor) -> Tensor:
        self.h = self.cell(x, self.h)
        return self.h.sum(1)


def test_rows_that_begin_with_values_of_their_own_are_told() -> None:
    with pytest.raises(ContractError, match=r"for 2 rows, .* or the same for each of them"):
        hoist(drawn(OwnRows()), {"x": X})
