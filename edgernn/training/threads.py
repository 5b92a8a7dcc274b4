"""How many threads to train with: as many as are told, or as many as were fastest when a few were
tried.

More threads than free cores are slower than fewer, and which cores are free is known to nobody
beforehand. So each number of threads computes a few gradients, in turns, and the run goes on with
the fastest.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgernn.training.schedule import Budget

_ROUNDS = 3  # turns of each candidate, so that a load that comes and goes hits all of them
_HOPELESS = 3.0  # times the fastest's time, after which a candidate has no further turn
_HOPELESS_START = 10.0  # the same of the first trial, which also starts the threads
_WORTH = 1.05  # how much faster more threads have to be
_LONGEST, _SHARE = 3.0, 0.01  # what trying may take: seconds, and a share of the run
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Measured:
    """What a few trials gave: the number of threads to use, and the trials a second of each number
    tried.
    """

    threads: int
    rates: dict[int, float]

    def __str__(self) -> str:
        shown = ", ".join(
            f"{rate:.3g}/s with {threads}" for threads, rate in sorted(self.rates.items())
        )
        return f"{self.threads} thread{'s' if self.threads > 1 else ''} (gradients tried: {shown})"


def fastest(
    trial: Callable[[], None],
    most: int,
    *,
    seconds: float,
    set_threads: Callable[[int], None],
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Try 1, 2, 4, … and ``most`` threads and return the fastest; it is not set.

    Args:
        trial: what is timed.
        most: threads to try at most.
        seconds: about how long all of it may take; each number has two trials at least.
        set_threads: sets the number of threads.
        clock: seconds of a clock on the wall.
    """
    numbers = _candidates(most)
    turn = seconds / (_ROUNDS * len(numbers))
    spent, count = dict.fromkeys(numbers, 0.0), dict.fromkeys(numbers, 0)
    for wave in range(_ROUNDS):
        for threads in numbers:
            best = (
                min(spent[n] / count[n] for n in numbers if count[n])
                if any(count.values())
                else 0.0
            )
            if wave and (
                spent[threads] > _HOPELESS * best * count[threads] or sum(spent.values()) > seconds
            ):
                continue
            set_threads(threads)
            began, here = clock(), 0.0
            if not wave:
                trial()  # the first with so many threads starts them
                here = clock() - began
                if best and here > _HOPELESS_START * best:  # so much that no second one is needed
                    count[threads], spent[threads] = 1, here
                    continue
                began, here = clock(), 0.0
            while not here or here < turn:
                trial()
                count[threads] += 1
                here = clock() - began
            spent[threads] += here
    rates = {n: count[n] / max(spent[n], 1e-9) for n in numbers}
    chosen = numbers[0]
    for threads in numbers[1:]:
        if rates[threads] > _WORTH * rates[chosen]:
            chosen = threads
    return Measured(chosen, rates)


def usable_cores() -> int:
    """Return on how many cores this process may run: those it is bound to, less what a container's
    quota takes.
    """
    bound = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        return max(1, min(bound, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return bound


def _candidates(most: int) -> list[int]:
    numbers = [1]
    while numbers[-1] * 2 < most:
        numbers.append(numbers[-1] * 2)
    return numbers + [most] * (most > 1)


@dataclass
class Chooser:
    """The number of threads of a run: told, kept from before, or tried; now and then tried again.

    A run of a budget in steps or epochs tries once, so that it repeats exactly. One of a budget of
    minutes depends on the machine's speed anyway; it tries again, for a small share of its time, as
    the machine's load may have changed.

    Attributes:
        threads: the number in use, 0 as long as there is none.
        fixed: whether it stays.
        budget: of the run.
    """

    threads: int
    fixed: bool
    budget: Budget
    _next: float = 0.0
    _interval: float = 60.0

    def due(self, seconds: float) -> bool:
        """Return whether to try, ``seconds`` into the run."""
        if self.fixed or (self.threads and self.budget.unit != "minutes"):
            return False
        return not self.threads or seconds >= self._next

    def allowed(self, trial: float) -> float:
        """Return how many seconds trying may take, where one trial takes so many."""
        run = {"minutes": 60.0, "steps": trial, "epochs": float("inf")}[
            self.budget.unit
        ] * self.budget.amount
        return min(_LONGEST, _SHARE * run)

    def tried(self, threads: int, seconds: float) -> None:
        """Note the fastest number, found ``seconds`` into the run; what was right before is tried
        again later.
        """
        if threads == self.threads:
            self._interval *= 2
        self.threads, self._next = threads, seconds + self._interval

    def kept(self, threads: int, seconds: float) -> None:
        """Note the number that a resumed run had."""
        self.threads, self._next = threads, seconds + self._interval
