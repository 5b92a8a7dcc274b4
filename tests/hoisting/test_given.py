"""What a hoisted step takes at a call: any number of its steps, arrays, and what is wrong told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import ContractError, EdgernnError, UsageError
from edgernn.hoisting.hoisted import Hoisted, hoist
from edgernn.hoisting.model import HoistedModel
from tests.hoisting.drawn import drawn
from tests.hoisting.test_unrolled import Translator


class Strided(nn.Module):
    """Two frames a step, scores of the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gru = nn.Conv1d(3, 4, 3, stride=2), nn.GRU(4, 5, batch_first=True)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.head(self.gru(y)[0][:, -1])


@pytest.fixture(scope="module")
def strided() -> Hoisted:
    return hoist(drawn(Strided()), {"x": "float32[batch, time, 3]"})


@pytest.fixture(scope="module")
def translator() -> Hoisted:
    words = {"source": "int64[batch, words] below 11", "target": "int64[batch, time] below 9"}
    return hoist(drawn(Translator()), words, fixed={"forcing": 1.0})


@pytest.mark.parametrize("frames", [2, 4, 10, 20])
def test_several_steps_a_call_are_run_in_turn(strided: Hoisted, frames: int) -> None:
    x, state = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(3)), None
    for start in range(0, 20, frames):
        outputs, state = strided(x[:, start : start + frames], state)
    torch.testing.assert_close(outputs["y"], strided.network.call.net(x))


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"x": torch.zeros(2, 3, 3)}, UsageError, "x has 3 frames and a step takes 2; give a mult"),
        ({"x": torch.zeros(2, 0, 3)}, ContractError, "with time at least 1"),
        ({"x": torch.zeros(2, 2, 4)}, ContractError, r"x is float32 \[2, 2, 4\], expected float32"),
        ({"x": torch.zeros(2, 2)}, ContractError, r"expected float32 \[batch, time, x_2=3\]"),
        ({"x": np.zeros((2, 2, 3))}, ContractError, r"x is float64 .*; give it as float32"),
        ({"x": "two"}, UsageError, "x is str, expected a tensor or an array"),
        ({}, ContractError, r"input x is missing: it is float32 \[batch, time, x_2=3\]"),
        ({"x": torch.zeros(2, 2, 3), "z": 1}, ContractError, r"unknown input \['z'\]; expected"),
    ],
)
def test_what_is_wrong_is_told(strided: Hoisted, given: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says) as raised:
        strided(given)
    assert "\n" not in str(raised.value)


def test_arrays_are_taken_and_states_are_checked(strided: Hoisted) -> None:
    x = np.ones((2, 2, 3), np.float32)
    x.setflags(write=False)
    outputs, state = strided(x)
    assert torch.equal(outputs["y"], strided(torch.ones(2, 2, 3))[0]["y"])
    with pytest.raises(ContractError, match=r"conv_past is .* with batch 1 as in x"):
        strided(x[:1], state)
    with pytest.raises(
        ContractError, match=r"state gru_h is missing: .* that the last call return"
    ):
        strided(x, {name: value for name, value in state.items() if name != "gru_h"})


def test_it_begins_with_what_runs_once(translator: Hoisted) -> None:
    generator = torch.Generator().manual_seed(3)
    source = torch.randint(11, (2, 5), generator=generator)
    target = torch.randint(9, (2, 6), generator=generator)
    expected = translator.network.call.net(source, target, forcing=1.0)
    contexts, state = translator.begin({"source": source.numpy()})
    assert list(contexts) == ["context_0"]
    runs: list[list[Tensor]] = [[], [], []]
    own = again = None
    for t in range(0, 6, 2):
        frames = target[:, t : t + 2]
        outputs, state = translator({"target": frames, **contexts}, state)
        runs[0].append(outputs["y"])
        given = {"target": frames, "source": source}
        outputs, again = translator(given, again)
        runs[1].append(outputs["y"])
        outputs, own = translator(given if own is None else {"target": frames, **contexts}, own)
        runs[2].append(outputs["y"])
    for run in runs:
        torch.testing.assert_close(torch.cat(run, 1), expected)


def test_what_it_begins_with_is_checked(translator: Hoisted, strided: Hoisted) -> None:
    target = torch.zeros(2, 1, dtype=torch.int64)
    cases: list[tuple[Any, str]] = [
        (lambda: translator(target), r"input source is missing: it is int64 \[batch, words\]"),
        (translator.begin, "input source is missing"),
        (lambda: translator.begin({"source": target + 11}), "has the value 11, expected 0 to 10"),
        (lambda: translator.begin({"source": target}, 3), "with batch 3 as in batch"),
        (lambda: translator({"target": target[:1], "source": target}), "batch"),
        (
            lambda: translator({"target": target}, {}),
            "context_0 is missing: .* which begin.. gives",
        ),
        (lambda: strided.begin({"x": target}), "has no part that runs once a sequence"),
    ]
    for call, says in cases:
        with pytest.raises(EdgernnError, match=says):
            call()
    assert strided.begin(batch=3)[1]["gru_h"].shape[1] == 3


class Unpadded(nn.Module):
    """Two convolutions without padding, all frames and the newest alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(3, 4, 3), nn.Conv1d(4, 2, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.second(torch.relu(self.first(x.transpose(1, 2)))).transpose(1, 2)
        return y, 2 * y[:, -1]


def test_the_frames_before_the_first_result_are_counted(strided: Hoisted) -> None:
    hoisted = hoist(drawn(Unpadded()), {"x": "float32[batch, time, 3]"})
    assert set(hoisted.warmup_frames.values()) == {5}
    assert list(hoisted.warmup_frames) == [made.name for made in hoisted.contract.step.read_outputs]
    assert strided.warmup_frames == {"y": 2}
    x = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(3))
    state = strided(x[:, :2])[1]  # three frames make a result: the second step's is the first
    torch.testing.assert_close(strided(x[:, 2:], state)[0]["y"], strided.network.call.net(x))
    told = HoistedModel(hoisted).config.model_dump()
    assert told["warmup_frames"] == hoisted.warmup_frames
