"""The one training loop. What is trained, on what, is a ``Task``; how long and how fast, the options; who hears, a reporter.

The loop owns the optimiser, the schedule, evaluation, keeping the best weights, saving and stopping. Its saved state is
complete: a run that is killed and resumed makes the same steps as one that was not.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from edgernn.errors import TrainingError
from edgernn.models.weights import not_finite
from edgernn.training import resume
from edgernn.training.distributed import World
from edgernn.training.options import TrainOptions
from edgernn.training.progress import EvaluationReport, Reporter, StepReport
from edgernn.training.schedule import learning_rate

_REPORT_EVERY = 10  # steps; also how often the loss is looked at for NaN
_SAVE_EVERY_SECONDS = 60.0
_BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class Evaluation:
    """A measurement on the validation part.

    Attributes:
        loss: nats per token, each token predicted from the true ones before it.
        criterion: what the best weights have least of; for text it is the loss.
        measured: further figures by name, to be shown and kept.
    """

    loss: float
    criterion: float
    measured: dict[str, float] = field(default_factory=dict)


class Task(Protocol):
    """What the loop trains."""

    split: str  # the validation part in words, printed beside every loss

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    def next_loss(self, share: float) -> tuple[Tensor, Tensor, int]:
        """Take the next batch; return what to minimise, with its graph, the loss to report, and the tokens of all processes.

        Both are this process's means. ``share`` of the budget is used so far.
        """

    def rate_of(self, name: str) -> float:
        """Return by what the learning rate of the parameter ``name`` is multiplied."""

    def epochs(self) -> float:
        """Return how many passes over the corpus are done."""

    def evaluate(self) -> Evaluation:
        """Measure the model on the validation part."""

    def sample(self) -> str:
        """Return a little of what the model makes now."""

    def save_best(self, *, step: int, found: Evaluation) -> None:
        """Keep the current weights, which were measured as ``found``, as the run's result."""

    def state(self) -> dict[str, Tensor]:
        """Return position and carried state of all processes."""

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what ``state`` gave."""


class Loop:
    """One run of training, to its end or to a stop.

    Args:
        task: what to train.
        options: how.
        path: where the resumable state is kept.
        world: this process among others.
        reporter: who hears; only the leading process's is called.
        setup: anything the caller wants back from ``resume.load``.
    """

    def __init__(
        self, task: Task, options: TrainOptions, *, path: Path, world: World, reporter: Reporter, setup: dict[str, Any]
    ) -> None:
        self.task, self.options, self.world = task, options, world
        self._path, self._reporter = path, reporter
        self.device = next(task.model.parameters()).device
        self.optimizer = _optimizer(task, options, self.device)
        self.progress = resume.Progress(options=options.model_dump(), setup=setup)
        self.interrupted = False
        self._losses: list[Tensor] = []
        self._tokens = 0
        self._clock = self._reported = self._saved = 0.0

    def restore(self, progress: resume.Progress, tensors: Mapping[str, Tensor]) -> None:
        """Continue from what ``resume.load`` read."""
        self.progress = progress
        self.task.set_state(tensors)
        progress.done = False
        if progress.options != self.options.model_dump():  # another budget: count the evaluations on its scale
            progress.options = self.options.model_dump()
            progress.stale = 0
            used = self.options.budget.progress(step=progress.step, epochs=self.task.epochs(), seconds=progress.seconds)
            progress.evaluations = self._slot(used)
        resume.restore(self.task.model, self.optimizer, tensors)
        random = tensors["random"]
        if self.world.rank < len(random):
            resume.set_random_state(random[self.world.rank], self.device)

    def run(self) -> resume.Progress:
        """Train until the budget is used, the loss stops falling, or Ctrl-C; save in each case.

        Raises:
            TrainingError: the loss is no longer finite; what was saved before stands.
        """
        self._clock = time.perf_counter() - self.progress.seconds
        self._reported = self._saved = self.progress.seconds
        with _interrupts(self):
            while True:
                share = self._share()
                if self._slot(share) > self.progress.evaluations:
                    self._evaluate(share)
                    self._save()
                elif self._save_due():
                    self._save()
                if share >= 1 or self.interrupted or self._stale():
                    break
                self._step(share)
                if self.progress.step % _REPORT_EVERY == 0:
                    self._report(share)
        self.progress.done = not self.interrupted
        self._save()
        return self.progress

    def _step(self, share: float) -> None:
        rate = learning_rate(share, peak=self.options.peak_rate, warmup=self.options.warmup, floor=self.options.floor)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        objective, loss, tokens = self.task.next_loss(share)
        self.optimizer.zero_grad()
        objective.backward()
        nn.utils.clip_grad_norm_(self.task.model.parameters(), self.options.clip)
        self.optimizer.step()
        self._losses.append(loss.detach())
        self._tokens += tokens
        self.progress.step += 1

    def _share(self) -> float:
        """Return the share of the budget that is used; all processes get the leader's clock and its Ctrl-C."""
        mine = (time.perf_counter() - self._clock, float(self.interrupted))
        self.progress.seconds, interrupted = self.world.from_leader(mine, self.device)
        self.interrupted = bool(interrupted)
        return self.options.budget.progress(step=self.progress.step, epochs=self.task.epochs(), seconds=self.progress.seconds)

    def _slot(self, share: float) -> int:
        return math.floor(min(share, 1.0) * self.options.evaluations)

    def _stale(self) -> bool:
        return 0 < self.options.patience <= self.progress.stale

    def _save_due(self) -> bool:
        overdue = self.progress.seconds - self._saved > _SAVE_EVERY_SECONDS
        return overdue and self.progress.step % _REPORT_EVERY == 0

    def _settle_losses(self) -> float:
        """Fold the losses since the last look into the running mean; return their own mean over all processes."""
        losses = self.world.mean(torch.stack(self._losses).float())
        self._losses.clear()
        mean = float(losses.mean())
        if not math.isfinite(mean):
            raise TrainingError(
                f"the loss is {mean} near step {self.progress.step}; the weights saved before are kept. "
                f"Train again with a smaller --learning-rate than {self.options.peak_rate:g} or a smaller --clip than "
                f"{self.options.clip:g}"
            )
        for loss in losses.tolist():  # one by one: the same sum however the run was interrupted
            self.progress.loss_sum += loss
        self.progress.loss_count += len(losses)
        return mean

    def _report(self, share: float) -> None:
        mean = self._settle_losses()
        seconds = self.progress.seconds
        speed = self._tokens / max(seconds - self._reported, 1e-9)
        self._tokens, self._reported = 0, seconds
        rate = self.optimizer.param_groups[0]["lr"]
        if self.world.leads:
            self._reporter.on_step(
                StepReport(self.progress.step, self.task.epochs(), mean, rate, speed, seconds, min(share, 1.0))
            )

    def _evaluate(self, share: float) -> None:
        if self._losses:
            self._settle_losses()
        progress = self.progress
        found = self.task.evaluate() if self.world.leads else Evaluation(0.0, 0.0)
        loss, criterion = self.world.from_leader((found.loss, found.criterion), self.device)
        if not math.isfinite(loss + criterion):
            raise TrainingError(f"the validation loss is {loss} at step {progress.step}; the weights saved before are kept")
        progress.evaluations = self._slot(share)
        better = criterion < progress.best
        if better and (wrong := not_finite(self.task.model)):  # the loss does not show it where gates saturate
            raise TrainingError(
                f"weights are not finite at step {progress.step}: {wrong}; the weights saved before are kept. Train again "
                f"with a smaller --learning-rate than {self.options.peak_rate:g} or a smaller --clip than {self.options.clip:g}"
            )
        progress.stale = 0 if better else progress.stale + 1
        if better:
            progress.best, progress.best_loss, progress.measured = criterion, loss, found.measured
        train = progress.loss_sum / max(progress.loss_count, 1)
        progress.loss_sum, progress.loss_count = 0.0, 0
        if self.world.leads:
            if better:
                self.task.save_best(step=progress.step, found=found)
            report = EvaluationReport(
                step=progress.step,
                epoch=self.task.epochs(),
                train_loss=train,
                validation_loss=loss,
                split=self.task.split,
                best=better,
                measured=found.measured,
                seconds=progress.seconds,
                sample=self.task.sample(),
            )
            self._reporter.on_evaluation(report)

    def _save(self) -> None:
        if self._losses:
            self._settle_losses()
        extra = {f"task.{name}": tensor for name, tensor in self.task.state().items()}
        extra["random"] = self.world.gather(resume.random_state(self.device)[None].to(self.device), 0)
        if self.world.leads:
            resume.save(self._path, self.progress, model=self.task.model, optimizer=self.optimizer, extra=extra)
        self._saved = self.progress.seconds


def _optimizer(task: Task, options: TrainOptions, device: torch.device) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019); biases and other vectors are not decayed. ``share`` multiplies a group's rate."""
    grouped: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in task.model.named_parameters():
        decay = options.weight_decay if parameter.ndim >= 2 else 0.0
        grouped.setdefault((decay, task.rate_of(name)), []).append(parameter)
    groups = [{"params": found, "weight_decay": decay, "share": share} for (decay, share), found in grouped.items()]
    return torch.optim.AdamW(groups, lr=options.peak_rate, betas=_BETAS, fused=device.type in {"cpu", "cuda"})


@contextmanager
def _interrupts(loop: Loop) -> Iterator[None]:
    """Turn the first Ctrl-C into a clean end after the current step; a second one stops at once."""

    def note(number: int, frame: FrameType | None) -> None:
        loop.interrupted = True
        signal.signal(signal.SIGINT, before)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: whoever runs us there handles Ctrl-C
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
