"""Random stacks of causal layers: each is hoisted and proved."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from tests.hoisting.drawn import drawn

_WIDTH = 4


class Causal(nn.Module):
    """A convolution that is padded on the left, over ``[B, T, D]``."""

    def __init__(self, kernel: int, dilation: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            _WIDTH, _WIDTH, kernel, dilation=dilation, stride=stride, groups=groups
        )
        self.front = max(0, dilation * (kernel - 1) + 1 - stride)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x.transpose(1, 2), (self.front, 0))
        return torch.tanh(self.conv(x)).transpose(1, 2)


class Centred(nn.Module):
    """A convolution that looks ahead, with its input beside it."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(_WIDTH, _WIDTH, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.conv(x.transpose(1, 2)).transpose(1, 2))


class Residual(nn.Module):
    """What a stack makes of frames, and the frames themselves."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * (x + self.inside(x))


class Pool(nn.Module):
    """Frames pooled by twos or threes, the largest or the mean."""

    def __init__(self, size: int, largest: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool1d(size) if largest else nn.AvgPool1d(size)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x.transpose(1, 2)).transpose(1, 2)


class Layer(nn.Module):
    """A recurrent layer without its state."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layer = kind(_WIDTH, _WIDTH, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Sum(nn.Module):
    """A running mean by a running sum and a count."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]


class Doubled(nn.Module):
    """Each frame twice, then mixed and thinned again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(_WIDTH, _WIDTH, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.pad(x.transpose(1, 2).repeat_interleave(2, -1), (2, 0))
        return self.conv(y)[..., : x.shape[1]].transpose(1, 2)


class Pointwise(nn.Sequential):
    """A normalised layer of each frame by itself."""

    def __init__(self) -> None:
        super().__init__(nn.LayerNorm(_WIDTH), nn.Linear(_WIDTH, _WIDTH), nn.GELU())


_SAME = st.one_of(
    st.builds(lambda k, d: ("conv", k, d), st.integers(1, 4), st.integers(1, 3)),
    st.sampled_from([
        ("centred", 3), ("centred", 5), ("gru",), ("lstm",), ("sum",), ("pointwise",),
        ("doubled",), ("grouped", 3),
    ]),
)  # fmt: skip
_SHORTER = st.one_of(
    st.builds(lambda k, s: ("stride", k, s), st.integers(1, 5), st.integers(2, 3)),
    st.builds(lambda n, m: ("pool", n, m), st.integers(2, 3), st.booleans()),
)
_RESIDUAL = st.builds(lambda *parts: ("residual", *parts), _SAME, _SAME)
STACKS = st.builds(
    lambda before, shorter, after: [*before, *shorter, *after],
    st.lists(st.one_of(_SAME, _RESIDUAL), max_size=3),
    st.lists(_SHORTER, max_size=2),
    st.lists(st.one_of(_SAME, _RESIDUAL), max_size=2),
).filter(bool)


def _built(told) -> nn.Module:
    kind, *rest = told
    makers = {
        "conv": lambda: Causal(*rest), "stride": lambda: Causal(rest[0], 1, rest[1]),
        "grouped": lambda: Causal(rest[0], groups=2), "centred": lambda: Centred(*rest),
        "gru": lambda: Layer(nn.GRU), "lstm": lambda: Layer(nn.LSTM), "sum": Sum,
        "pointwise": Pointwise, "doubled": Doubled, "pool": lambda: Pool(*rest),
        "residual": lambda: Residual(nn.Sequential(*map(_built, rest))),
    }  # fmt: skip
    return makers[kind]()


def _proved(stack) -> None:
    network = drawn(nn.Sequential(*map(_built, stack)))
    hoisted = hoist(network, {"input": f"float32[batch, time, {_WIDTH}]"})
    assert prove(hoisted, steps=24).error <= 1e-5


@seed(11)
@settings(
    max_examples=8, deadline=None, database=None, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
@given(stack=STACKS)
def test_a_random_stack_equals_itself_in_steps(stack):
    _proved(stack)
