"""Parts on the processors of this machine, each worker a process that keeps its bundle open."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from edgernn.batch.part import Done, Failed
from edgernn.batch.plan import Part
from edgernn.batch.worker import Job, Worker
from edgernn.errors import DataError

_DIED = "a worker died at them each time; take out what is wrong, or give the machine more memory"
DEATHS = 2  # of workers that had a part, after which it runs with no other beside it
_kept: list[Worker] = []  # of this process


def run_local(
    job: Job, parts: Sequence[Part], workers: int, *, worker: type[Worker] = Worker
) -> Iterator[Done | Failed]:
    """Yield each part that is written, and each that cannot be: its rows cannot be read, or a
    worker dies at them each time.

    A worker that dies ends those beside it. What they had was not written, so it runs again; a part
    that was there too often runs alone at the end, where it is told who is to blame.
    """
    deaths: Counter[Part] = Counter()
    waiting, suspects = deque(parts), deque[Part]()
    while waiting or suspects:
        alone = not waiting
        queue, at_once = (deque([suspects.popleft()]), 1) if alone else (waiting, workers)
        lost = yield from _until_a_death(partial(worker, job), queue, at_once)
        if alone:
            yield from (Failed(part, _DIED) for part in lost)
            continue
        for part in lost:
            deaths[part] += 1
            (suspects if deaths[part] >= DEATHS else waiting).append(part)


def _until_a_death(
    made: Callable[[], Worker], waiting: deque[Part], workers: int
) -> Generator[Done | Failed, None, list[Part]]:  # the parts that ran when a worker died
    running: dict[Future[Done], Part] = {}
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(made,))
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running[pool.submit(_run, waiting[0])] = waiting[0]
                waiting.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                try:
                    ended: Done | Failed = future.result()
                except DataError as error:
                    ended = Failed(running[future], str(error))
                del running[future]
                yield ended
    except BrokenProcessPool:
        return list(running.values())
    finally:
        pool.shutdown(cancel_futures=True)
    return []


def _begin(made: Callable[[], Worker]) -> None:
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    _kept.append(made())


def _end_with_the_run() -> None:
    """End this process when the run is no more: one that was killed tells its workers nothing."""
    if (run := multiprocessing.parent_process()) is not None:
        run.join()
        os._exit(1)


def _run(part: Part) -> Done:
    return _kept[0].run(part)
