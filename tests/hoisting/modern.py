"""Modern recurrences, written plainly from their papers: over a whole sequence, with the state
hidden inside forward, and some of them as a step with their state in and out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

D, H, N = 6, 2, 3  # width, heads, width of a head


class Mamba2Step(nn.Module):
    """Mamba-2 (Dao and Gu 2024): a short causal convolution, then a scalar decay a head."""

    states, taps = 4, 3

    def __init__(self) -> None:
        super().__init__()
        inner = H * N
        self.enter = nn.Linear(D, 2 * inner + 2 * self.states + H, bias=False)
        self.conv = nn.Conv1d(
            inner + 2 * self.states, inner + 2 * self.states, self.taps,
            groups=inner + 2 * self.states, padding=self.taps - 1,
        )  # fmt: skip
        self.step_bias, self.log_decay, self.skip = (nn.Parameter(torch.zeros(H)) for _ in "abc")
        self.norm, self.leave = nn.Parameter(torch.ones(inner)), nn.Linear(inner, D, bias=False)

    def start(self, rows: int) -> tuple[Tensor, Tensor]:
        """Return the past of the convolution and the state of the heads."""
        return (
            torch.zeros(rows, self.conv.in_channels, self.taps - 1),
            torch.zeros(rows, H, N, self.states),
        )

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gate, what is convolved, and the step sizes; [..., ·]."""
        gate, mixed, dt = self.enter(x).split([H * N, self.conv.in_channels, H], -1)
        return gate, mixed, functional.softplus(dt + self.step_bias)

    def turn(self, mixed: Tensor, dt: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
        """Return one frame's output ``[B, H N]`` and the state after it ``[B, H, N, S]``."""
        x, b, c = mixed.split([H * N, self.states, self.states], -1)
        x = x.unflatten(-1, (H, N))  # [B, H, N]
        decay = torch.exp(-torch.exp(self.log_decay) * dt)  # [B, H]
        held = held * decay[..., None, None] + torch.einsum("bh,bs,bhn->bhns", dt, b, x)
        y = torch.einsum("bhns,bs->bhn", held, c) + self.skip[:, None] * x
        return y.flatten(1), held

    def close(self, y: Tensor, gate: Tensor) -> Tensor:
        """Gate, normalise and project; [..., H N] to [..., D]."""
        y = y * functional.silu(gate)
        return self.leave(y * torch.rsqrt((y * y).mean(-1, keepdim=True) + 1e-5) * self.norm)

    def forward(self, x: Tensor, past: Tensor, held: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take a frame ``[B, D]``."""
        gate, mixed, dt = self.split(x)
        window = torch.cat([past, mixed[..., None]], -1)  # [B, C, K]
        mixed = functional.silu((window * self.conv.weight[:, 0]).sum(-1) + self.conv.bias)
        y, held = self.turn(mixed, dt, held)
        return self.close(y, gate), window[..., 1:], held


class Mamba2(Mamba2Step):
    """The same over a sequence."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Take frames ``[B, T, D]``."""
        gate, mixed, dt = self.split(x)
        mixed = self.conv(mixed.transpose(1, 2))[..., : x.shape[1]]
        mixed = functional.silu(mixed).transpose(1, 2)
        held, made = x.new_zeros(x.shape[0], H, N, self.states), []
        for t in range(x.shape[1]):
            y, held = self.turn(mixed[:, t], dt[:, t], held)
            made.append(y)
        return self.close(torch.stack(made, 1), gate)


class GatedDelta(nn.Module):
    """The gated delta rule (Yang, Kautz and Hatamizadeh 2024): the memory forgets, and what a key
    held is replaced.
    """

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(D, H * N, bias=False) for _ in "qkv")
        self.conv = nn.Conv1d(3 * H * N, 3 * H * N, 4, groups=3 * H * N)
        self.alpha, self.beta, self.gate = nn.Linear(D, H), nn.Linear(D, H), nn.Linear(D, H * N)
        self.norm, self.leave = nn.LayerNorm(N), nn.Linear(H * N, D)

    def forward(self, x: Tensor) -> Tensor:
        """Take frames ``[B, T, D]``."""
        mixed = torch.cat([self.query(x), self.key(x), self.value(x)], -1).transpose(1, 2)
        mixed = functional.silu(self.conv(functional.pad(mixed, (3, 0)))).transpose(1, 2)
        q, k, v = (one.unflatten(-1, (H, N)) for one in mixed.chunk(3, -1))  # [B, T, H, N]
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        alpha, beta = torch.sigmoid(self.alpha(x)), torch.sigmoid(self.beta(x))  # [B, T, H]
        made = torch.zeros_like(v)
        memory = torch.zeros(x.shape[0], H, N, N)
        for t in range(x.shape[1]):
            memory = alpha[:, t, :, None, None] * memory
            held = torch.einsum("bhvk,bhk->bhv", memory, k[:, t])
            new = beta[:, t, :, None] * (v[:, t] - held)
            memory = memory + new[..., None] * k[:, t, :, None]
            made[:, t] = torch.einsum("bhvk,bhk->bhv", memory, q[:, t])
        y = self.norm(made) * torch.sigmoid(self.gate(x)).unflatten(-1, (H, N))
        return self.leave(y.flatten(2))


class RgLru(nn.Module):
    """The block of Griffin (De et al. 2024): a short convolution and the RG-LRU, whose input is not
    scaled at position 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.gate, self.leave = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, D)
        self.conv = nn.Conv1d(D, D, 4, groups=D, padding=3)
        self.recurrence, self.input = nn.Linear(D, D), nn.Linear(D, D)
        self.decay = nn.Parameter(torch.zeros(D))

    def forward(self, x: Tensor) -> Tensor:
        """Take frames ``[B, T, D]``."""
        frames = x.shape[1]
        y = self.conv(self.enter(x).transpose(1, 2))[:, :, :frames].transpose(1, 2)
        log_a = -8.0 * functional.softplus(self.decay) * torch.sigmoid(self.recurrence(y))
        first = torch.arange(frames)[None, :, None] == 0
        scale = torch.where(first, 1.0, torch.sqrt(1 - torch.exp(2 * log_a)))
        taken = scale * torch.sigmoid(self.input(y)) * y
        h, made = torch.zeros_like(y[:, 0]), []
        for t in range(frames):
            h = torch.exp(log_a[:, t]) * h + taken[:, t]
            made.append(h)
        return self.leave(torch.stack(made, 1) * functional.gelu(self.gate(x)))


class RgLruStep(RgLru):
    """The same a frame a call; its position is a number among its states."""

    def start(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the past of the convolution, h, and the position of each row."""
        return torch.zeros(rows, D, 3), torch.zeros(rows, D), torch.zeros(rows, dtype=torch.int64)

    def forward(  # type: ignore[override]
        self, x: Tensor, past: Tensor, h: Tensor, position: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Take a frame ``[B, D]``."""
        window = torch.cat([past, self.enter(x)[..., None]], -1)
        y = (window * self.conv.weight[:, 0]).sum(-1) + self.conv.bias
        log_a = -8.0 * functional.softplus(self.decay) * torch.sigmoid(self.recurrence(y))
        scale = torch.where(position[:, None] == 0, 1.0, torch.sqrt(1 - torch.exp(2 * log_a)))
        h = torch.exp(log_a) * h + scale * torch.sigmoid(self.input(y)) * y
        y = self.leave(h * functional.gelu(self.gate(x)))
        return y, window[..., 1:], h, position + 1


def positive(x: Tensor) -> Tensor:
    """Return g(x) of minimal recurrences: x + 1/2 above 0, the sigmoid below."""
    return torch.where(x >= 0, x + 0.5, torch.sigmoid(x))


class MinGru(nn.Module):
    """The minimal GRU (Feng et al. 2024), turn by turn."""

    def __init__(self) -> None:
        super().__init__()
        self.update, self.candidate, self.leave = nn.Linear(D, 5), nn.Linear(D, 5), nn.Linear(5, D)

    def forward(self, x: Tensor) -> Tensor:
        """Take frames ``[B, T, D]``."""
        z, candidate = torch.sigmoid(self.update(x)), positive(self.candidate(x))
        h, made = torch.full((x.shape[0], 5), 0.5), []
        for before, new in zip(z.unbind(1), candidate.unbind(1), strict=True):
            h = (1 - before) * h + before * new
            made.append(h)
        return self.leave(torch.stack(made, dim=1))


class ParallelMinGru(MinGru):
    """The same in one go, in logarithms: Heinsen's scan."""

    def forward(self, x: Tensor) -> Tensor:
        """Take frames ``[B, T, D]``."""
        update, candidate = self.update(x), self.candidate(x)
        keeps, takes = -functional.softplus(update), -functional.softplus(-update)
        new = torch.where(
            candidate >= 0, (torch.relu(candidate) + 0.5).log(), -functional.softplus(-candidate)
        )
        values = torch.cat([torch.full_like(new[:, :1], math.log(0.5)), takes + new], 1)
        kept = functional.pad(torch.cumsum(keeps, 1), (0, 0, 1, 0))  # [B, 1 + T, 5]
        h = torch.exp(kept + torch.logcumsumexp(values - kept, 1))
        return self.leave(h[:, 1:])


class ClosedForm(nn.Module):
    """A closed-form continuous-time cell (Hasani et al. 2022): the time since the last frame is
    an input.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(D + 5, 7), nn.SiLU())
        self.near, self.far = nn.Linear(7, 5), nn.Linear(7, 5)
        self.slope, self.offset, self.leave = nn.Linear(7, 5), nn.Linear(7, 5), nn.Linear(5, D)

    def forward(self, x: Tensor, elapsed: Tensor) -> Tensor:
        """Take frames ``[B, T, D]`` and seconds ``[B, T]``."""
        h, made = x.new_zeros(x.size(0), 5), []
        for t in range(x.size(1)):
            shared = self.backbone(torch.cat([x[:, t], h], 1))
            when = torch.sigmoid(self.slope(shared) * elapsed[:, t, None] + self.offset(shared))
            h = torch.tanh(self.near(shared)) * (1 - when) + torch.tanh(self.far(shared)) * when
            made.append(h)
        return self.leave(torch.stack(made, 1))
