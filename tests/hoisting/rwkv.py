"""RWKV-7, written plainly from its paper: over a whole sequence, and a frame a call."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.hoisting.modern import D, H, N


def shifted(x: Tensor) -> Tensor:
    """Return each frame's predecessor, zeros before the first one."""
    return functional.pad(x, (0, 0, 1, -1))  # [B, T, D]


class Rwkv7State(NamedTuple):
    """What RWKV-7 keeps of a layer."""

    attended: Tensor  # [B, D]
    mixed: Tensor  # [B, D]
    memory: Tensor  # [B, H, N, N]


class Rwkv7Step(nn.Module):
    """One block of RWKV-7 (Peng et al. 2025, equations 3 to 22), a frame a call."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between, self.after = nn.LayerNorm(D), nn.LayerNorm(D), nn.LayerNorm(D)
        self.mixing = nn.Parameter(torch.zeros(6, D))  # of r, w, k, v, a, g
        self.receptance, self.key, self.value, self.output = (
            nn.Linear(D, D, bias=False) for _ in range(4)
        )
        self.decay, self.decay_in, self.decay_out = self._low_rank(3)
        self.rate, self.rate_in, self.rate_out = self._low_rank(2)
        self.gate_in, self.gate_out = nn.Linear(D, 4, bias=False), nn.Linear(4, D, bias=False)
        self.removed, self.replaced, self.bonus = (nn.Parameter(torch.zeros(D)) for _ in range(3))
        self.norm = nn.GroupNorm(H, D, eps=64e-5)
        self.channel_mixing = nn.Parameter(torch.zeros(D))
        self.wide, self.narrow = nn.Linear(D, 8, bias=False), nn.Linear(8, D, bias=False)

    def _low_rank(self, rank: int) -> tuple[nn.Parameter, nn.Module, nn.Module]:
        return (
            nn.Parameter(torch.zeros(D)),
            nn.Linear(D, rank, bias=False),
            nn.Linear(rank, D, bias=False),
        )

    def start(self, rows: int) -> Rwkv7State:
        """Return the state before the first frame."""
        return Rwkv7State(torch.zeros(rows, D), torch.zeros(rows, D), torch.zeros(rows, H, N, N))

    def gates(self, x: Tensor, previous: Tensor) -> list[Tensor]:
        """Return r, w, k, v, the key that is removed, the one that is replaced, and g: [..., D]."""
        xr, xw, xk, xv, xa, xg = (x + (previous - x) * mix for mix in self.mixing)
        decay = self.decay + self.decay_out(torch.tanh(self.decay_in(xw)))
        w = torch.exp(-math.exp(-0.5) * torch.sigmoid(decay))
        a = torch.sigmoid(self.rate + self.rate_out(self.rate_in(xa)))
        g = self.gate_out(torch.sigmoid(self.gate_in(xg)))
        k = self.key(xk)
        removed = functional.normalize((k * self.removed).unflatten(-1, (H, N)), dim=-1)
        k = k * (1 + (a - 1) * self.replaced)
        r, v = self.receptance(xr), self.value(xv)
        return [r, w, k, v, -removed.flatten(-2), removed.flatten(-2) * a, g]

    def remember(self, memory: Tensor, gates: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return what one frame reads, [B, D], and the memory after it, [B, H, N, N]."""
        r, w, k, v, away, back = (one.unflatten(-1, (H, N)) for one in gates)  # [B, H, N]
        memory = (
            memory * w[:, :, None]
            + (memory @ away[..., None]) @ back[:, :, None]
            + v[..., None] @ k[:, :, None]
        )
        return (memory @ r[..., None]).flatten(1), memory

    def joined(self, y: Tensor, gates: list[Tensor]) -> Tensor:
        """Normalise what was read, add this frame's own value and gate it; all [B, D]."""
        r, _, k, v, _, _, g = gates
        own = (r * k * self.bonus).unflatten(-1, (H, N)).sum(-1, keepdim=True)
        y = self.norm(y) + (own * v.unflatten(-1, (H, N))).flatten(-2)
        return self.output(y * g)

    def channels(self, x: Tensor, previous: Tensor) -> Tensor:
        """Mix the channels; [..., D]."""
        return self.narrow(torch.relu(self.wide(x + (previous - x) * self.channel_mixing)) ** 2)

    def forward(self, x: Tensor, state: Rwkv7State) -> tuple[Tensor, Rwkv7State]:
        """Take a frame ``[B, D]``."""
        attended = self.before(x)
        gates = self.gates(attended, state.attended)
        y, memory = self.remember(state.memory, gates[:6])
        x = x + self.joined(y, gates)
        mixed = self.between(x)
        x = x + self.channels(mixed, state.mixed)
        return self.after(x), Rwkv7State(attended, mixed, memory)


class Rwkv7(Rwkv7Step):
    """The same over a sequence: token shifts by padding, a loop over the memory."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Take frames ``[B, T, D]``."""
        attended = self.before(x)
        gates = self.gates(attended, shifted(attended))
        memory, read = x.new_zeros(x.shape[0], H, N, N), []
        for t in range(x.shape[1]):
            y, memory = self.remember(memory, [gate[:, t] for gate in gates[:6]])
            read.append(y)
        y = torch.stack(read, 1).flatten(0, 1)  # [B T, D]
        flat = [gate.flatten(0, 1) for gate in gates]
        x = x + self.joined(y, flat).unflatten(0, x.shape[:2])
        mixed = self.between(x)
        return self.after(x + self.channels(mixed, shifted(mixed)))
