"""The one training loop. What is trained, on what, is a ``Task``; how long and how fast, the
options; who hears, a reporter.

The loop owns the optimiser, the schedule, evaluation, keeping the best weights, saving and
stopping. Its saved state is complete: a run that is killed and resumed makes the same steps as one
that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgernn.errors import TrainingError
from edgernn.models.weights import not_finite
from edgernn.training import resume
from edgernn.training.distributed import World
from edgernn.training.losses import Losses
from edgernn.training.optimizer import adamw
from edgernn.training.options import TrainOptions
from edgernn.training.pace import Pace
from edgernn.training.progress import Reporter
from edgernn.training.schedule import learning_rate
from edgernn.training.signals import Signals, listening
from edgernn.training.task import Evaluation, Task
from edgernn.training.telling import Telling
from edgernn.training.trial import Threads

_PROBE = 1e-6  # of the validation part: its smallest piece


class _AbandonedError(Exception):
    """An evaluation was given up: a signal came, or there is no time left for it."""


class Loop:
    """One run of training, to its end or to a stop.

    Args:
        task: what to train.
        options: how.
        path: where the resumable state is kept.
        world: this process among others.
        reporter: who hears; only the leading process's is called.
        setup: anything the caller wants back from ``resume.load``.
        data: what tells the corpus from another.
        signals: who hears what asks the run to end; None for the loop itself.
        began: when what leads to the run began, by ``time.perf_counter``; minutes count from there.
            None: now.
    """

    def __init__(
        self,
        task: Task,
        options: TrainOptions,
        *,
        path: Path,
        world: World,
        reporter: Reporter,
        setup: dict[str, Any],
        data: str = "",
        signals: Signals | None = None,
        began: float | None = None,
    ) -> None:
        self.task, self.options, self.world = task, options, world
        self._path, self._signals, self._began = path, signals, began
        self.device = next(task.model.parameters()).device
        self.optimizer = adamw(task, options, self.device)
        self.progress = resume.Progress(options=options.model_dump(), setup=setup, data=data)
        self.pace = Pace(options.budget)
        self.signal = 0  # the signal that ended the run, in whichever process it came
        self._threads = Threads(
            task, self.optimizer, told=options.threads, world=world, budget=options.budget
        )
        self._losses = Losses(world, options)
        self._telling = Telling(task, self.optimizer, self._losses, reporter)
        self._clock = 0.0
        self._finished = False

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the run."""
        return self.signal != 0

    def restore(self, progress: resume.Progress, tensors: Mapping[str, Tensor]) -> None:
        """Continue from what ``resume.load`` read.

        Raises:
            CheckpointError: the state does not fit the model or the corpus.
        """
        before, now = progress.options.get("budget"), self.options.model_dump()
        self.progress = progress
        try:
            self.task.set_state(tensors)
            resume.restore(self.task.model, self.optimizer, tensors)
            resume.set_random_states(tensors, self.world.rank, self.device)
        except ValueError as error:
            raise resume.damaged(self._path, str(error)) from error
        self._finished = progress.done and before == now["budget"] and math.isfinite(progress.best)
        progress.done, progress.options = False, now
        if before != now["budget"]:  # count the evaluations on its scale
            progress.stale = 0
            used = self.options.budget.progress(
                step=progress.step, epochs=self.task.epochs(), seconds=progress.seconds
            )
            progress.evaluations = self._slot(used)
        self.pace.resumed(progress.seconds)
        self._threads.keep(progress.threads, progress.seconds)

    def run(self) -> resume.Progress:
        """Train until the budget is used, the loss stops falling or a signal comes; then save.

        Raises:
            TrainingError: the loss is no longer finite; what was saved before stands.
        """
        if self._finished:
            self.progress.done = True
            return self.progress
        with ExitStack() as stack:
            self._signals = self._signals or stack.enter_context(listening())
            stack.enter_context(self._signals.noted())
            stack.enter_context(self._threads.put_back())
            now = time.perf_counter()
            self._clock = (
                now - self.progress.seconds - self.pace.preparing(now - (self._began or now))
            )
            self._telling.begin(self.progress.seconds)
            self._train()
        self.progress.done = not self.interrupted
        self._save()
        return self.progress

    def _train(self) -> None:
        if not self.progress.step:
            self._save()  # from here on a kill leaves a run that goes on
        if self._share() < 1:
            self._try_threads()
            self._probe()
        while True:
            share = self._share()
            if not self.signal and self._evaluation_due(share):
                self._evaluate(share)
                self._save()
            elif self.pace.save_due(self.progress.seconds):
                self._save()
            if share >= 1 or self.signal or 0 < self.options.patience <= self.progress.stale:
                break
            self._try_threads()
            self._step(share)
            self._telling.step_made(self.progress, share=share)

    def _step(self, share: float) -> None:
        rate = learning_rate(
            share, peak=self.options.peak_rate, warmup=self.options.warmup, floor=self.options.floor
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        objective, loss, tokens = self.task.next_loss(share)
        self.optimizer.zero_grad()
        objective.backward()
        nn.utils.clip_grad_norm_(self.task.model.parameters(), self.options.clip)
        self.optimizer.step()
        self._losses.add(loss)
        self._telling.trained_on(tokens)
        self.progress.step += 1
        before = self.progress.seconds
        self.pace.stepped(self._now() - before)

    def _now(self) -> float:
        """Return the seconds of the run; all processes get the leader's clock, and hear of a signal
        to any of them.
        """
        mine = (
            time.perf_counter() - self._clock if self.world.leads else 0.0,
            float(self._asked()),
        )
        self.progress.seconds, number = self.world.largest(mine, self.device)
        self.signal = int(number)
        return self.progress.seconds

    def _asked(self) -> int:
        """Return the signal that came to this process, 0 for none."""
        return self._signals.number if self._signals else 0

    def _share(self) -> float:
        return self.pace.share(
            step=self.progress.step, epochs=self.task.epochs(), seconds=self._now()
        )

    def _slot(self, share: float) -> int:
        return math.floor(min(share, 1.0) * self.options.evaluations)

    def _evaluation_due(self, share: float) -> bool:
        # a run does not end without a model
        unsaved = share >= 1 and math.isinf(self.progress.best)
        due = self.progress.step > 0 and (unsaved or self._slot(share) > self.progress.evaluations)
        return due and (share >= 1 or self.pace.evaluation_fits(self.progress.seconds))

    def _try_threads(self) -> None:
        found = self._threads.choose(self.progress.seconds, lambda: self._asked() > 0)
        if found:
            self._now()
            self._telling.note(f"training with {found}")
        self.progress.threads = self._threads.number

    def _probe(self) -> None:
        """Measure a piece of the validation part, and decide by its cost how much to measure."""
        if self.options.budget.unit != "minutes":
            return
        whole = self._cost_of_evaluating(_PROBE)
        if self.pace.affordable(whole) < 1:  # a piece that is a fairer sample of it
            whole = self._cost_of_evaluating(self.pace.affordable(whole) / 5)
        if math.isinf(self.progress.best):  # later ones have to be comparable
            self.progress.validated = self.pace.affordable(whole)
        self.pace.evaluation = whole * self.progress.validated

    def _cost_of_evaluating(self, share: float) -> float:
        began = self._now()
        covered = self._measured(share).covered if self.world.leads else 0.0
        spent = self._now() - began
        return spent / max(self.world.from_leader((covered,), self.device)[0], _PROBE)

    def _go_on(self) -> bool:
        if self._asked():
            raise _AbandonedError
        if not self.pace.overdue(time.perf_counter() - self._clock):
            return True
        if math.isfinite(self.progress.best):  # there is a result, measured whole
            raise _AbandonedError
        return False

    def _measured(self, share: float) -> Evaluation:
        """Return what the leader measures; with nothing covered where it gave up."""
        try:
            return self.task.evaluate(share, self._go_on)
        except _AbandonedError:
            return Evaluation(0.0, 0.0, covered=0.0)

    def _evaluate(self, share: float) -> None:
        self._losses.settle(self.progress)
        progress, began = self.progress, self._now()
        found = self._measured(progress.validated) if self.world.leads else Evaluation(0.0, 0.0)
        loss, criterion, covered = self.world.from_leader(
            (found.loss, found.criterion, found.covered), self.device
        )
        if not covered:
            self._now()
            return
        if not math.isfinite(loss + criterion):
            raise TrainingError(
                f"the validation loss is {loss} at step {progress.step}; the weights saved "
                "before are kept"
            )
        progress.evaluations = self._slot(share)
        better = criterion < progress.best
        # the loss does not show it where gates saturate
        if better and (wrong := not_finite(self.task.model)):
            raise TrainingError(
                f"weights are not finite at step {progress.step}: {wrong}; the weights saved "
                "before are kept. Train again "
                f"with a smaller --learning-rate than {self.options.peak_rate:g} or a smaller "
                f"--clip than {self.options.clip:g}"
            )
        progress.stale = 0 if better else progress.stale + 1
        if better:
            progress.best, progress.best_loss, progress.measured = criterion, loss, found.measured
        train = progress.loss_sum / max(progress.loss_count, 1)
        progress.loss_sum, progress.loss_count = 0.0, 0
        if self.world.leads:
            if better:
                self.task.save_best(step=progress.step, found=found)
            self._telling.measured(progress, found, train_loss=train, best=better)
        end = self._now()
        self.pace.evaluated(cost=end - began, at=end)

    def _save(self) -> None:
        self._losses.settle(self.progress)
        began = self._now()
        extra = {f"task.{name}": tensor for name, tensor in self.task.state().items()}
        extra["random"] = self.world.gather(
            resume.random_state(self.device)[None].to(self.device), 0
        )
        if self.world.leads:
            resume.save(
                self._path,
                self.progress,
                model=self.task.model,
                optimizer=self.optimizer,
                extra=extra,
            )
        end = self._now()
        self.pace.saved(cost=end - began, at=end)
