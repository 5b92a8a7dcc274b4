"""The gated mean ``h_t = h_{t-1} + z_t ⊙ (n_t - h_{t-1})`` over all time steps in one call, and
its gradient: what trains cells whose gates see no state.

As z lies in [0, 1], nothing here divides or grows: no number of the scan is larger than those of
the recurrence, whatever the signs of n and h. A logarithm of cumulative sums (Heinsen 2023) would
need all of them positive, and cancels where a gate is shut.

On a CPU the steps are made one after another, in place: a step of ``[B, H]`` keeps a core busy, and
a tree would read everything several times. Elsewhere a tree (Blelloch 1990) makes log2 T passes.

Shapes: T time, B batch, H hidden; time comes first, so that a step's numbers lie together.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Gradients = tuple[Tensor, Tensor, Tensor]


def gated_scan(gate: Tensor, new: Tensor, first: Tensor) -> Tensor:
    """Return ``h_1 … h_T`` as ``[T, B, H]``.

    Args:
        gate: ``z``, ``[T, B, H]``, T at least 1, in [0, 1].
        new: ``n``, ``[T, B, H]``.
        first: ``h_0``, ``[B, H]``.
    """
    if torch.is_grad_enabled():
        made: Tensor = _Scan.apply(gate, new, first)
        return made
    h, each = first, []
    for z, n in zip(gate.unbind(0), new.unbind(0), strict=True):
        h = h + z * (n - h)  # [B, H]
        each.append(h)
    return torch.stack(each)


class _Scan(torch.autograd.Function):
    """The gradient is a recurrence backwards in time, so z, n and h are all that is kept: with the
    whole gradient at h_t, ``g_t = ∂L/∂h_t + (1 - z_{t+1}) ⊙ g_{t+1}``, it is ``z_t ⊙ g_t`` at n_t,
    and ``(n_t - h_{t-1}) ⊙ g_t`` at z_t.
    """

    @staticmethod
    def forward(ctx: Any, gate: Tensor, new: Tensor, first: Tensor) -> Tensor:
        run = forwards if gate.device.type == "cpu" else forwards_by_halves
        made = run(gate, new, first)
        ctx.save_for_backward(gate, new, first, made)
        return made

    @staticmethod
    def backward(ctx: Any, given: Tensor) -> Gradients:
        in_place = given.device.type == "cpu" and not torch.is_grad_enabled()  # of the gradient
        run = backwards if in_place else backwards_by_halves
        gate, new, first, made = ctx.saved_tensors
        return run(gate, new, first, made, given)


def forwards(gate: Tensor, new: Tensor, first: Tensor) -> Tensor:
    """Make one step after another; as ``gated_scan``."""
    made, h, change = torch.empty_like(new), first, torch.empty_like(first)
    for t in range(len(new)):
        torch.sub(new[t], h, out=change)
        h = torch.addcmul(h, gate[t], change, out=made[t])  # [B, H]
    return made


def backwards(gate: Tensor, new: Tensor, first: Tensor, made: Tensor, given: Tensor) -> Gradients:
    """Return the gradients of the inputs of ``forwards`` for that of its result, ``given``."""
    of_gate, of_new = torch.empty_like(gate), torch.empty_like(new)
    whole = torch.zeros_like(first)  # g_{t+1}, then what of it reaches h_t
    for t in reversed(range(len(new))):
        whole += given[t]
        before = made[t - 1] if t else first
        torch.mul(whole, gate[t], out=of_new[t])
        torch.sub(new[t], before, out=of_gate[t]).mul_(whole)
        whole -= of_new[t]
    return of_gate, of_new, whole


def forwards_by_halves(gate: Tensor, new: Tensor, first: Tensor) -> Tensor:
    """Make the steps by a tree; as ``gated_scan``."""
    added = gate * new
    added[0] += (1 - gate[0]) * first
    return linear_scan(1 - gate, added)


def backwards_by_halves(
    gate: Tensor, new: Tensor, first: Tensor, made: Tensor, given: Tensor
) -> Gradients:
    """As ``backwards``, by a tree."""
    kept = torch.cat((1 - gate[1:], torch.zeros_like(gate[:1])))  # 1 - z_{t+1}
    whole = linear_scan(kept.flip(0), given.flip(0)).flip(0)
    before = torch.cat((first.unsqueeze(0), made[:-1]))  # h_{t-1}
    return whole * (new - before), whole * gate, whole[0] * (1 - gate[0])


def linear_scan(kept: Tensor, added: Tensor) -> Tensor:
    """Return ``h_t = k_t ⊙ h_{t-1} + a_t`` from ``h_0 = 0``: pairs of steps are scanned as steps,
    ``(k_2 ⊙ k_1, k_2 ⊙ a_1 + a_2)``, then every other one is filled in.

    Args:
        kept: k, ``[T, B, H]``, in [0, 1].
        added: a, ``[T, B, H]``.
    """
    steps = len(kept)
    if steps == 1:
        return added
    first, second, third = slice(0, steps - 1, 2), slice(1, None, 2), slice(2, None, 2)
    pairs = torch.addcmul(added[second], kept[second], added[first])
    every_other = linear_scan(kept[second] * kept[first], pairs)  # h_2, h_4, …
    made = torch.empty_like(added)
    made[0], made[second] = added[0], every_other
    before = every_other[: (steps - 1) // 2]  # of h_3, h_5, …
    made[third] = torch.addcmul(added[third], kept[third], before)
    return made
