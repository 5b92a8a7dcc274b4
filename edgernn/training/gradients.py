"""What is left of a gradient after it went back through time, and a term that keeps it alive.

A state that is handed on through K steps gets from the loss at the end the gradient
∂loss_t/∂s_{t-k} = ∂loss_t/∂s_{t-1} ∏ ∂s_{j+1}/∂s_j. Where the factors are small it vanishes with k,
and nothing can be learned over so many steps (Bengio, Simard & Frasconi 1994; Hochreiter et al.
2001). s_{t-k} is a state as the step t - k hands it on; its gradient counts every way to the loss.

``vanishing`` is the regulariser of Pascanu, Mikolov & Bengio 2013, "On the difficulty of training
recurrent neural networks", section 3.3, equations 9 and 10:

    Ω = mean_k ( ‖ g_{k+1} ∂s_{k+1}/∂s_k ‖ / ‖ g_{k+1} ‖ − 1 )²,    g_{k+1} = ∂E/∂s_{k+1}

with E the loss of the whole chunk and s all states of a row, of every layer, side by side. s_{k+1}
is what step k + 1 hands on, so g_{k+1} is of the losses after that step; where there is none, the
step does not count. As in equation 10 its gradient is the immediate one: s_k and g_{k+1} count as
constants. It is a mean over steps and rows where the paper has a sum, so that λ does not depend on
the size of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from edgernn.models.cells.base import State

Step = Callable[[Tensor, State], tuple[Tensor, State]]  # [B, 1] and a state: logits and a state
_LEAST = 1e-30  # a squared norm below it is none


def twice_differentiable() -> AbstractContextManager[None]:
    """Return what steps are to be taken in: cuDNN's recurrent layers have no gradient outside
    training, and nowhere a second one; torch's own have both.
    """
    return torch.backends.cudnn.flags(enabled=False)


def unrolled(step: Step, tokens: Tensor, state: State) -> tuple[Tensor, list[State]]:
    """Run ``tokens [B, T]`` one step at a time.

    Returns:
        The logits ``[B, T, V]``, and T + 1 states: the first one, which needs a gradient from here
        on, and the one after each step.
    """
    states, made = [tuple(tensor.detach().requires_grad_() for tensor in state)], []
    for t in range(tokens.shape[1]):
        logits, state = step(tokens[:, t : t + 1], states[-1])
        states.append(state)
        made.append(logits)
    return torch.cat(made, 1), states


def gradient_norms(loss: Tensor, states: Sequence[State], axes: Sequence[int]) -> list[Tensor]:
    """Return how large the gradient of ``loss`` is to each state, most recent first.

    Args:
        loss: summed over rows, each of which depends on its own states alone.
        states: K of them, from the earliest on.
        axes: of each tensor of a state the one of the rows.

    Returns:
        For each tensor of a state the norms ``[K, L]``, means over the rows; L is 1 where the rows'
        axis comes first.
    """
    return [norms.mean(1).flip(0) for norms in row_norms(loss, states, axes)]


def row_norms(loss: Tensor, states: Sequence[State], axes: Sequence[int]) -> list[Tensor]:
    """Return how large the gradient of ``loss`` is to each row of each state, in their order.

    Args:
        loss, states, axes: as of ``gradient_norms``.

    Returns:
        For each tensor of a state the norms ``[K, B, L]``, 0 where no gradient arrives.
    """
    flat = [tensor for state in states for tensor in state]
    found, count, courses = _gradients(loss, flat), len(axes), []
    for place, axis in enumerate(axes):
        norms = []
        for gradient in found[place::count]:
            by_row = gradient.float().movedim(axis, 0)  # [B, L, …, H], or [B, …, H]
            by_row = by_row.flatten(2) if axis else by_row.flatten(1).unsqueeze(1)
            norms.append(by_row.norm(dim=2))  # [B, L]
        courses.append(torch.stack(norms))  # [K, B, L]
    return courses


def vanishing(
    step: Step, loss: Tensor, tokens: Tensor, states: Sequence[State], axes: Sequence[int]
) -> Tensor:
    """Return Ω of a chunk; see the module.

    Args:
        step: with the parameters that are to be regularised.
        loss: E, whose graph is kept.
        tokens: ``[B, T]``.
        states: as ``unrolled`` gave them.
        axes: of each tensor of a state the one of the rows.
    """
    rows = tokens.t().reshape(tokens.numel(), 1)  # step after step, as the states are
    return omega(loss, states[:-1], states[1:], axes, lambda state: step(rows, state)[1])


def omega(
    loss: Tensor,
    before: Sequence[State],
    after: Sequence[State],
    axes: Sequence[int],
    again: Callable[[State], State],
) -> Tensor:
    """Return Ω of any network's steps; see the module. States of integers take no part.

    Args:
        loss: E, whose graph is kept.
        before, after: the state that came into each step, and the one that it handed on.
        axes: of each tensor of a state the one of the rows.
        again: takes all steps anew as rows of one call, from their states before to those after.
    """
    moving = [place for place, tensor in enumerate(before[0]) if tensor.is_floating_point()]
    own = [axes[place] for place in moving]
    found = _gradients(loss, [state[place] for state in after for place in moving])
    wanted = [torch.cat(found[at :: len(moving)], axis) for at, axis in enumerate(own)]
    given = [torch.cat([s[at].detach() for s in before], axis) for at, axis in enumerate(axes)]
    for place in moving:  # they count as constants
        given[place].requires_grad_()
    size = _by_row(wanted, own).sqrt()  # [T B]
    some = size.square() > _LEAST
    scale = torch.where(some, size, torch.ones_like(size))
    unit = [g / scale.view(_beside(g, axis)) for g, axis in zip(wanted, own, strict=True)]
    made = again(tuple(given))
    asked = [(made[p], u) for p, u in zip(moving, unit, strict=True) if made[p].requires_grad]
    sources = [given[place] for place in moving]
    back = torch.autograd.grad(
        [tensor for tensor, _ in asked],
        sources,
        [direction.to(tensor.dtype) for tensor, direction in asked],
        create_graph=True,
        allow_unused=True,
    )
    kept = [
        torch.zeros_like(b) if v is None else v.float() for v, b in zip(back, sources, strict=True)
    ]
    ratio = (_by_row(kept, own) + _LEAST).sqrt()  # [T B]
    return ((ratio - 1).square() * some).sum() / some.sum().clamp(min=1)


def _gradients(loss: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of ``loss`` to each, zeros where none arrives; its graph is kept."""
    asked = [tensor for tensor in tensors if tensor.requires_grad]
    found = iter(
        torch.autograd.grad(loss, asked, retain_graph=True, allow_unused=True) if asked else ()
    )
    made = (next(found) if tensor.requires_grad else None for tensor in tensors)
    return [
        torch.zeros_like(tensor) if gradient is None else gradient.detach()
        for tensor, gradient in zip(tensors, made, strict=True)
    ]


def _by_row(tensors: Sequence[Tensor], axes: Sequence[int]) -> Tensor:
    """Return the sum of squares of each row over all tensors, ``[rows]``."""
    sums = (
        tensor.movedim(axis, 0).flatten(1).square().sum(1)
        for tensor, axis in zip(tensors, axes, strict=True)
    )
    return torch.stack(list(sums)).sum(0)


def _beside(tensor: Tensor, axis: int) -> list[int]:
    return [-1 if at == axis else 1 for at in range(tensor.dim())]
