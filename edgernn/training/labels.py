"""Cross-entropy of labels, of the last step of each sequence or of every step."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.contract import TIME, Contract
from edgernn.data.examples import VALIDATION, ExampleSet
from edgernn.families.examples import LENGTHS, NOTHING, TARGET
from edgernn.models.layered.network import Network
from edgernn.training.objective import LOSS, Batch, Objective, Sums, advance, begin
from edgernn.training.text import entropy_of

ACCURACY = "accuracy"


class LabelObjective(Objective):
    """The batch holds the inputs of the contract, ``lengths [N]`` and ``target``, ``[N]`` or
    ``[N, T]``, -1 where nothing is asked.

    Args:
        labels: C, the number of labels.
        unit: what an example is.
        step: what a step of it is, where each has a target.
        smoothing: the share of a target that is spread over all labels, in training.
    """

    best = ACCURACY

    def __init__(
        self, labels: int, *, unit: str, step: str | None = None, smoothing: float = 0.0
    ) -> None:
        super().__init__()
        self.labels, self.smoothing = labels, smoothing
        self.unit, self.step = unit, step  # type: ignore[misc]  # of this one alone

    def forward(self, network: Network, batch: Batch, share: float) -> tuple[Tensor, Tensor]:
        """See ``Objective.forward``."""
        scores, target = asked(network, batch)
        objective = nn.functional.cross_entropy(scores, target, label_smoothing=self.smoothing)
        return objective, nn.functional.cross_entropy(scores.detach(), target)

    def measure(self, network: Network, batch: Batch) -> Sums:
        """See ``Objective.measure``."""
        scores, target = asked(network, batch)
        loss = nn.functional.cross_entropy(scores, target, reduction="sum").item()
        right = (scores.argmax(1) == target).sum().item()
        return {LOSS: (loss, len(target)), ACCURACY: (right, len(target))}

    def last_losses(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
        """See ``Objective.last_losses``."""
        target, lengths = batch[TARGET], batch[LENGTHS]
        scores = run(network, batch).float()  # [N, T, C]
        if target.dim() == 1:
            target = torch.where(_steps(scores) == lengths[:, None] - 1, target[:, None], NOTHING)
        target = target[:, : scores.shape[1]]
        asked = (target != NOTHING) & (_steps(scores) < lengths[:, None])
        last = torch.where(asked, _steps(scores), -1).amax(1)  # [N]
        rows, at = torch.arange(len(last), device=last.device), last.clamp(min=0)
        wanted = torch.where(last >= 0, target[rows, at], NOTHING)
        losses = nn.functional.cross_entropy(
            scores[rows, at], wanted, ignore_index=NOTHING, reduction="none"
        )
        return losses, last

    def count(self, batch: Batch) -> int:
        """See ``Objective.count``."""
        return int((batch[TARGET] != NOTHING).sum())

    def chance(self, examples: ExampleSet) -> float | None:
        """See ``Objective.chance``."""
        target = np.asarray(examples.parts[VALIDATION][TARGET])
        return entropy_of(target[target != NOTHING])


def asked(network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
    """Run a network over a batch; return the scores ``[M, C]`` at every place that is asked for,
    and the targets ``[M]``.
    """
    return asked_of(run(network, batch).float(), batch)


def asked_of(scores: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return of the scores ``[N, T, C]`` of a batch those ``[M, C]`` at every place that is asked
    for, and the targets ``[M]``.
    """
    target, lengths = batch[TARGET], batch[LENGTHS]
    if target.dim() > 1:
        where = target[:, : scores.shape[1]] != NOTHING
        where = where & (torch.arange(scores.shape[1], device=lengths.device) < lengths[:, None])
        return scores[where], target[:, : scores.shape[1]][where]
    last = scores[torch.arange(len(target), device=target.device), lengths - 1]  # [N, C]
    return last[target != NOTHING], target[target != NOTHING]


def _steps(scores: Tensor) -> Tensor:
    return torch.arange(scores.shape[1], device=scores.device)  # [T]


def run(network: Network, batch: Batch) -> Tensor:
    """Return the first output ``[N, T, C]`` of every step over the sequences of a batch, in one
    call where the network takes several steps.
    """
    contract: Contract = network.config.contract()
    rows = len(batch[LENGTHS])
    contexts, state = begin(network, batch, rows)
    scores = contract.step.read_outputs[0].name
    fresh = [spec.name for spec in contract.step.fresh_inputs]
    if TIME not in contract.sizes:
        outputs, _ = advance(network, {name: batch[name] for name in fresh}, contexts, state)
        return outputs[scores]
    made = []
    for t in range(int(batch[LENGTHS].max())):
        inputs = {name: batch[name][:, t : t + 1] for name in fresh}
        outputs, state = advance(network, inputs, contexts, state)
        made.append(outputs[scores])
    return torch.cat(made, 1)
