"""What a language model minimises on a chunk of text."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from edgernn.contract import BATCH, STEP
from edgernn.models.cells.base import State
from edgernn.models.family import RecurrentModel
from edgernn.training.gradients import twice_differentiable, unrolled, vanishing

_STATE_BOUND, STATE_PENALTY = 3.0, 1e-2


class ChunkLoss(nn.Module):
    """The loss of one chunk: what DistributedDataParallel wraps, so everything that has gradients
    is in ``forward``.

    To the cross-entropy it adds ``λ mean(max(0, |s| - 3)²)`` over the states after the chunk. Left
    alone, some cells of an LSTM that never forgets count up into the hundreds, where tanh has long
    been 1; float16 has steps of 0.25 there, and float32 rounding grows alike. A cell of 3 already
    gives 0.995. A model that is to count has a λ of 0.

    Where ``vanishing_penalty`` is not 0, that times Ω of ``training.gradients`` is added, too.
    """

    def __init__(
        self, model: RecurrentModel, state_penalty: float, vanishing_penalty: float
    ) -> None:
        super().__init__()
        self.model, self.rows_of = model, row_axes(model)
        self.state_penalty, self.vanishing_penalty = state_penalty, vanishing_penalty

    def forward(
        self, tokens: Tensor, targets: Tensor, state: State, fresh: Tensor
    ) -> tuple[Tensor, Tensor, State]:
        """Return the objective, the mean cross-entropy in nats, and the state after; rows in
        ``fresh [B]`` begin anew.
        """
        first = self.model.initial_state(len(tokens))
        state = tuple(
            torch.where(fresh.view([-1 if at == axis else 1 for at in range(f.dim())]), f, s)
            for f, s, axis in zip(first, state, self.rows_of, strict=True)
        )
        step = partial(run, self.model)
        if self.vanishing_penalty:
            with twice_differentiable():
                logits, states = unrolled(step, tokens, state)
            state = states[-1]
        else:
            logits, state = step(tokens, state)
        loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        excess = (
            torch.cat([tensor.float().abs().flatten() for tensor in state])
            .sub(_STATE_BOUND)
            .clamp(min=0)
        )
        objective = loss + self.state_penalty * excess.square().mean()
        if self.vanishing_penalty:
            with twice_differentiable():
                omega = vanishing(step, loss, tokens, states, self.rows_of)
            objective = objective + self.vanishing_penalty * omega
        return objective, loss.detach(), tuple(tensor.detach().float() for tensor in state)


def row_axes(model: RecurrentModel) -> list[int]:
    """Return which axis of each state is that of the rows."""
    return [spec.axes.index(BATCH) for spec in model.config.contract().step.states]


def run(model: RecurrentModel, tokens: Tensor, state: State) -> tuple[Tensor, State]:
    """Return the logits of ``tokens [B, T]``, ``[B, T, V]``, and the state after them."""
    made = model.graph(STEP, tokens, *state)
    return made[0], made[len(made) - len(state) :]
