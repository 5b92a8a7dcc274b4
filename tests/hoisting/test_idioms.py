"""Six forms in which public code keeps recurrent state: found, and equal to the network's run."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import UsageError
from edgernn.export.module_bundle import export_module
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from edgernn.parity.verify import verify_bundle
from tests.hoisting.drawn import drawn


class LazyAttribute(nn.Module):
    """Nothing until the first call and after reset(); gives the newest frame alone."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(3, 4, 2, batch_first=True), nn.Linear(4, 2)
        self.hidden: Any = None

    def reset(self) -> None:
        self.hidden = None

    def forward(self, x: Tensor) -> Tensor:
        y, self.hidden = self.lstm(x, self.hidden)
        return self.out(y[:, -1])


class BufferState(nn.Module):
    """Buffers written in place, made for one row, and a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(3, 4), nn.Linear(4, 2)
        self.register_buffer("h", torch.zeros(1, 4), persistent=False)
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        self.h.copy_(self.cell(x, self.h))
        self.count += 1
        return self.out(self.h) / self.count


class Pick(nn.Module):
    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        return pair[0]


class InSequential(nn.Module):
    """Layers whose state is dropped on the way, one with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.GRU(3, 4), Pick(), nn.LSTM(4, 5, proj_size=2), Pick())

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Core(NamedTuple):
    h: Tensor
    c: Tensor


class NestedState(nn.Module):
    """A dict of a list of named tuples, a tensor and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList([nn.LSTMCell(3, 4), nn.LSTMCell(4, 5)])
        self.out = nn.Linear(5, 2)

    def start(self, batch: int) -> dict[str, Any]:
        cores = [Core(torch.zeros(batch, n), torch.zeros(batch, n)) for n in (4, 5)]
        return {"cores": cores, "average": torch.zeros(batch, 2), "step": 0}

    def forward(self, x: Tensor, state: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        cores = []
        for cell, core in zip(self.cells, state["cores"], strict=True):
            h, c = cell(x, (core.h, core.c))
            cores.append(Core(h, c))
            x = h
        average = 0.9 * state["average"] + 0.1 * self.out(x)
        return average, {"cores": cores, "average": average, "step": state["step"] + 1}


class LearnedStart(nn.Module):
    """The first state is learned, and scaled by a conditioning vector."""

    def __init__(self) -> None:
        super().__init__()
        self.h0, self.c0 = nn.Parameter(torch.zeros(2, 1, 4)), nn.Parameter(torch.zeros(2, 1, 4))
        self.condition, self.lstm, self.out = nn.Linear(6, 4), nn.LSTM(3, 4, 2), nn.Linear(4, 2)

    def start(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        gate = torch.sigmoid(self.condition(condition))[None]
        return (self.h0 * gate).contiguous(), (self.c0 * gate).contiguous()

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Any]:
        y, state = self.lstm(x, state)
        return self.out(y), state


class EncoderThenSteps(nn.Module):
    """The first state and what is attended to come from an encoder; the step is decode."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.encoder = nn.Embedding(7, 3), nn.GRU(3, 4, batch_first=True)
        self.cell, self.out = nn.GRUCell(7, 4), nn.Linear(8, 5)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor]:
        memory, last = self.encoder(self.embed(source))
        return memory, last[0]

    def decode(self, token: Tensor, memory: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        weights = torch.softmax((memory * h[:, None]).sum(-1), 1)
        heard = (memory * weights[..., None]).sum(1)  # [B, H]
        h = self.cell(torch.cat([self.embed(token), heard], 1), h)
        return self.out(torch.cat([h, heard], 1)), h


_NESTED = "state_cores_0_h state_cores_0_c state_cores_1_h state_cores_1_c state_average state_step"
_X, _FRAMES, _TIME_FIRST = (
    {"x": f"float32[{axes}, 3]"} for axes in ("batch", "batch, time", "time, batch")
)
_WORDS = {"token": "int64[batch] below 7", "source": "int64[batch, words] below 7"}


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(
    ("net", "inputs", "method", "states"),
    [
        (LazyAttribute, _FRAMES, "forward", "hidden_0 hidden_1"),
        (BufferState, _X, "forward", "h count"),
        (InSequential, _TIME_FIRST, "forward", "net_0_h net_2_h net_2_c"),
        (NestedState, _X, "forward", _NESTED),
        (
            LearnedStart, _TIME_FIRST | {"condition": "float32[batch, 6]"},
            "forward", "state_0 state_1",
        ),
        (EncoderThenSteps, _WORDS, "decode", "h"),
    ],
)  # fmt: skip
def test_state_is_found_where_public_code_keeps_it(net, inputs, method, states):
    network = drawn(net())
    before = {name: value.clone() for name, value in network.state_dict().items()}
    hoisted = hoist(network, inputs, method=method)
    assert [state.name for state in hoisted.contract.step.states] == states.split()
    assert prove(hoisted, steps=256).error <= 1e-5
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


def test_what_the_start_method_alone_takes_is_given_once():
    hoisted = hoist(drawn(LearnedStart()), _TIME_FIRST | {"condition": "float32[batch, 6]"})
    assert [tensor.name for tensor in hoisted.contract.encode.inputs] == ["condition"]
    assert set(hoisted.contract.initial_state.values()) == {"encode"}
    decoder = hoist(drawn(EncoderThenSteps()), _WORDS, method="decode")
    assert [tensor.name for tensor in decoder.contract.step.contexts] == ["memory"]
    assert decoder.contract.step.contexts[0].axes[1] == "words"


class Conditioned(nn.Module):
    """What makes the first state is heeded at every step, too."""

    def __init__(self) -> None:
        super().__init__()
        self.condition, self.cell = nn.Linear(6, 4), nn.GRUCell(9, 4)

    def init_hidden(self, speaker: Tensor) -> Tensor:
        return torch.tanh(self.condition(speaker))

    def forward(self, x: Tensor, speaker: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = self.cell(torch.cat([x, speaker], 1), h)
        return h.sum(1), h


def test_what_start_method_and_step_take_is_a_context_where_the_user_says_so():
    inputs = _X | {"speaker": "float32[batch, 6]"}
    with pytest.raises(UsageError, match="the same over a run, say so: --context speaker"):
        hoist(drawn(Conditioned()), inputs)
    hoisted = hoist(drawn(Conditioned()), inputs, context="speaker")
    assert [tensor.name for tensor in hoisted.contract.encode.inputs] == ["speaker"]
    assert [tensor.name for tensor in hoisted.contract.step.fresh_inputs] == ["x"]
    assert hoisted.contract.initial_state == {"h": "encode"}
    assert prove(hoisted, steps=32).error <= 1e-5


@pytest.mark.parametrize(
    ("net", "inputs", "said"),
    [
        (LearnedStart, _TIME_FIRST | {"condition": "float32[batch, 6]"}, {}),
        (EncoderThenSteps, _WORDS, {"method": "decode"}),
        (Conditioned, _X | {"speaker": "float32[batch, 6]"}, {"context": "speaker"}),
    ],
)
def test_what_a_start_method_makes_is_exported_as_encode(net, inputs, said, tmp_path):
    out = tmp_path / "net.edgernn"
    export_module(drawn(net()), inputs, out, to=["onnx", "torchscript"], steps=16, **said)
    report = verify_bundle(out, steps=16)
    failed = [c for one in report.artifacts for c in one.checks if c.status == "failed"]
    assert report.passed and not failed, failed
