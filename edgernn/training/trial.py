"""Trying numbers of threads on the run's own model and batches, without leaving a trace in
either.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from edgernn.training import resume
from edgernn.training.distributed import World
from edgernn.training.schedule import Budget
from edgernn.training.task import Task
from edgernn.training.threads import Chooser, Measured, fastest, usable_cores


class _StoppedError(Exception):
    """The run is asked to end."""


class Threads:
    """The number of threads of a run on the CPU: told, kept, set for all programs by
    OMP_NUM_THREADS, or tried.

    Several processes share the cores as whoever started them decided, and a GPU is fed by what
    torch takes.

    Args:
        task: what is trained.
        optimizer: whose gradients a trial makes, and clears.
        told: by the user; None tries.
        world: this process among others.
        budget: of the run.
    """

    def __init__(
        self,
        task: Task,
        optimizer: torch.optim.Optimizer,
        *,
        told: int | None,
        world: World,
        budget: Budget,
    ) -> None:
        self._task, self._optimizer = task, optimizer
        self._device = next(task.model.parameters()).device
        decided = world.size > 1 or "OMP_NUM_THREADS" in os.environ or self._device.type != "cpu"
        number = told or (torch.get_num_threads() if decided else 0)
        self._chooser = Chooser(number, fixed=bool(number), budget=budget)

    @property
    def number(self) -> int:
        """How many threads the run works with; 0 before that is known."""
        return self._chooser.threads

    def keep(self, number: int, seconds: float) -> None:
        """Go on with the ``number`` that the run had, unless another was told."""
        if number and not self._chooser.fixed:
            self._chooser.kept(number, seconds)

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Set the number where it is known; after the body, set what torch had before."""
        before = torch.get_num_threads()
        if self.number:
            torch.set_num_threads(self.number)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def choose(self, seconds: float, stopped: Callable[[], bool]) -> Measured | None:
        """Try where it is time to, ``seconds`` into the run, and set the fastest number; None where
        it is not.

        The run is as if there had been no trial: batches, carried state, random numbers and buffers
        are put back.
        """
        chooser = self._chooser
        if not chooser.due(seconds):
            return None

        def trial() -> None:
            if stopped():
                raise _StoppedError
            objective, _, _ = self._task.next_loss(0.0)
            self._optimizer.zero_grad()
            objective.backward()

        try:
            with self._unchanged():
                torch.set_num_threads(1)
                trial()  # the first one makes what later ones find
                began = time.perf_counter()
                trial()
                seconds_allowed = chooser.allowed(time.perf_counter() - began)
                set_threads = torch.set_num_threads
                found = fastest(
                    trial, usable_cores(), seconds=seconds_allowed, set_threads=set_threads
                )
        except _StoppedError:
            return None
        changed = found.threads != chooser.threads
        chooser.tried(found.threads, seconds)
        torch.set_num_threads(found.threads)
        return found if changed else None

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        random = resume.random_state(self._device)
        state = {f"task.{name}": tensor.clone() for name, tensor in self._task.state().items()}
        buffers = [(buffer, buffer.clone()) for buffer in self._task.model.buffers()]
        try:
            yield
        finally:
            self._optimizer.zero_grad()
            self._task.set_state(state)
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)
            resume.set_random_state(random, self._device)
