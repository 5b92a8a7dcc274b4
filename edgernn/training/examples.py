"""A network of layers on a set of examples, as the loop wants it: shuffled batches, any objective,
the best weights by what it measures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.data.examples import VALIDATION, ExampleSet
from edgernn.errors import TrainingError, UsageError
from edgernn.models import checkpoint
from edgernn.models.layered.network import Network
from edgernn.training.distributed import World
from edgernn.training.gradients import twice_differentiable
from edgernn.training.objective import LOSS, Batch, Objective
from edgernn.training.resume import taken
from edgernn.training.task import Evaluation, GoOn, always
from edgernn.training.unrolling import Unrolled

_ROWS, _PROBED = 128, 16  # validation examples measured at a time, and at least
_MOST = 4096  # at most so many validation examples are measured, from the start of the part
_TIE_BREAK = 1e-6  # of the loss: far below what one example changes


class _Trained(nn.Module):
    """What is trained, with what measures it: what DistributedDataParallel wraps."""

    def __init__(self, network: Network, objective: Objective, vanishing_penalty: float) -> None:
        super().__init__()
        self.network, self.objective = network, objective
        self.vanishing_penalty = vanishing_penalty

    def forward(self, batch: Batch, share: float) -> tuple[Tensor, Tensor]:
        if not self.vanishing_penalty:
            objective, loss = self.objective(self.network, batch, share)
            return objective, loss.detach()
        steps = Unrolled(self.network)
        with twice_differentiable():
            objective, loss = self.objective(steps.network(), batch, share)
            penalty = self.vanishing_penalty * steps.vanishing(objective)
        return objective + penalty, loss.detach()


class ExampleTask:
    """A network on examples.

    Args:
        network: on its device already.
        examples: with the splits ``train`` and ``validation``.
        objective: what is minimised and measured.
        world: this process among others; the batch is shared out evenly.
        batch: examples of all processes together.
        seed: of the order of examples.
        mixed: run matrix products in bfloat16.
        folder: where ``save_best`` writes.
        about: what ``config.json`` tells of the training, completed at each ``save_best``.
        vanishing_penalty: λ of the term of ``training.gradients``.

    Raises:
        TrainingError: there are fewer examples than a batch has.
        UsageError: the penalty cannot be had of this network.
    """

    def __init__(
        self,
        network: Network,
        examples: ExampleSet,
        *,
        objective: Objective,
        world: World,
        batch: int,
        seed: int,
        mixed: bool,
        folder: Path,
        about: dict[str, Any],
        vanishing_penalty: float = 0.0,
    ) -> None:
        if vanishing_penalty:
            _refuse_statistics(network)
        count = examples.count("train")
        if count < batch:
            raise TrainingError(
                f"there are {count} training {objective.unit}s, a batch needs {batch}; use a "
                "smaller --batch"
            )
        self._device = next(network.parameters()).device
        self.model = _Trained(network, objective.to(self._device), vanishing_penalty)
        self._wrapped = world.wrap(self.model, partly=True)
        self._examples, self._folder, self._about = examples, folder, about
        rows = world.rows(batch, of=f"{objective.unit}s")
        self._batch, self._rows = batch, slice(rows.start, rows.stop)
        self._seed, self._mixed, self._step = seed, mixed, 0
        self._batches = count // batch
        self._order: tuple[int, list[np.ndarray]] = (-1, [])
        self._whole = min(examples.count(VALIDATION), _MOST)
        self._measured = self._whole

    @property
    def unit(self) -> str:
        """See ``Task.unit``."""
        return self.model.objective.step or self.model.objective.unit

    @property
    def split(self) -> str:
        """See ``Task.split``."""
        unit = self.model.objective.unit
        return f"{self._measured} validation {unit}s of {self._examples.source}"

    def rate_of(self, name: str) -> float:
        """See ``Task.rate_of``."""
        part, _, own = name.partition(".")
        return self.model.objective.rate_of(own) if part == "network" else 1.0

    def next_loss(self, share: float) -> tuple[Tensor, Tensor, int]:
        """See ``Task.next_loss``."""
        batch = self._tensors("train", self._next_rows()[self._rows])
        self.model.train()
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._mixed):
            objective, loss = self._wrapped(batch, min(share, 1.0))
        world = self._batch // (self._rows.stop - self._rows.start)
        return objective, loss, self.model.objective.count(batch) * world

    def epochs(self) -> float:
        """See ``Task.epochs``."""
        return self._step / self._batches

    def evaluate(self, share: float = 1.0, go_on: GoOn = always) -> Evaluation:
        """Measure the figures of the objective over the first validation examples."""
        self.model.eval()
        wanted = max(math.ceil(share * self._whole), min(_PROBED, self._whole))
        sums, at = dict[str, tuple[float, float]](), 0
        with torch.no_grad():
            while at < wanted and (not at or go_on()):
                rows = slice(at, min(at + _ROWS, wanted))
                batch, at = self._tensors(VALIDATION, rows), rows.stop
                for name, (found, count) in self._measure(batch).items():
                    total, number = sums.get(name, (0.0, 0.0))
                    sums[name] = (total + found, number + count)
        figures = {name: total / max(number, 1) for name, (total, number) in sums.items()}
        loss, best, self._measured = figures.pop(LOSS), self.model.objective.best, at
        criterion = loss if best is None else _TIE_BREAK * loss - figures[best]
        return Evaluation(loss, criterion, figures, covered=at / self._whole)

    def _measure(self, batch: Batch) -> dict[str, tuple[float, float]]:
        return self.model.objective.measure(self.model.network, batch)

    def gradient_norms(self) -> Mapping[str, np.ndarray]:
        """See ``HasGradients``: of the last loss of each of the first validation examples."""
        batch = self._tensors(VALIDATION, slice(0, _PROBED))
        self.model.eval()
        steps = Unrolled(self.model.network)
        with (
            twice_differentiable(),
            torch.random.fork_rng(),
        ):  # what a painter draws here is no part of its training
            losses, places = self.model.objective.last_losses(steps.network(), batch)
        return steps.norms(losses, places)

    def unigram_entropy(self) -> float | None:
        """See ``Objective.chance``."""
        return self.model.objective.chance(self._examples)

    def sample(self) -> str:
        """See ``Task.sample``."""
        self.model.eval()
        with torch.no_grad():
            return self.model.objective.sample(self.model.network, self._examples)

    def save_best(self, *, step: int, found: Evaluation) -> None:
        """Write the checkpoint's weights and configuration."""
        result = {"step": step, "epochs": round(self.epochs(), 4), "validation_loss": found.loss}
        told = {**self._about, "split": self.split, **result, **found.measured}
        checkpoint.save_trained(self._folder, self.model.network, training=told)

    def state(self) -> dict[str, Tensor]:
        """See ``Task.state``: the steps made; the order of examples follows from them."""
        return {"position": torch.tensor([self._step])}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See ``Task.set_state``."""
        (step,) = taken(tensors, "task.position", [1], dtype=torch.int64).tolist()
        if step < 0:
            raise ValueError(f"its position is step {step}, expected 0 or more")
        self._step = step

    def _next_rows(self) -> np.ndarray:
        """Return the rows of the next batch, which follow from the seed and the step alone."""
        epoch, place = divmod(self._step, self._batches)
        if self._order[0] != epoch:
            made = self._examples.order(batch=self._batch, seed=(self._seed, epoch))
            self._order = (epoch, list(made))
        self._step += 1
        return self._order[1][place]

    def _tensors(self, split: str, rows: np.ndarray | slice) -> Batch:
        made = self._examples.batch(split, rows)
        return {
            name: torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
            for name, array in made.items()
        }


def _refuse_statistics(network: Network) -> None:
    """Raise UsageError where a step counts the statistics of a batch: taken a second time for the
    penalty, it would count them twice.
    """
    for name, module in network.layers.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise UsageError(
                f"--vanishing-penalty takes each step twice, and {name} counts the statistics of "
                "what it sees; leave --vanishing-penalty out"
            )
