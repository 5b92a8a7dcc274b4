"""The training losses since somebody last looked: kept on the device, folded into the run's means
when they are wanted.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgernn.errors import TrainingError
from edgernn.training.distributed import World
from edgernn.training.options import TrainOptions
from edgernn.training.resume import Progress


class Losses:
    """Losses of steps, means of this process.

    Args:
        world: over whose processes to take the mean.
        options: named where the losses are no longer finite.
    """

    def __init__(self, world: World, options: TrainOptions) -> None:
        self._world, self._options = world, options
        self._waiting: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        """Take the loss of a step; nothing waits for the device."""
        self._waiting.append(loss.detach())

    def settle(self, progress: Progress) -> None:
        """Fold what was taken into the means of ``progress``, over all processes.

        Raises:
            TrainingError: a loss is not finite.
        """
        if not self._waiting:
            return
        losses = self._world.mean(torch.stack(self._waiting).float())
        self._waiting.clear()
        if not torch.isfinite(losses).all():
            raise TrainingError(
                f"the loss is {float(losses.mean())} near step {progress.step}; the weights "
                "saved before are kept. "
                f"Train again with a smaller --learning-rate than {self._options.peak_rate:g} "
                "or a smaller --clip than "
                f"{self._options.clip:g}"
            )
        for loss in losses.tolist():  # one by one: the same sum however the run was interrupted
            progress.loss_sum += loss
            progress.recent.append(loss)
        progress.loss_count += len(losses)
