"""How a work is killed: in a process of its own, at one of its calls that change files or at a
moment, and judged in another.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_CALLS = ("rename", "replace", "fsync", "unlink", "mkdir", "rmdir", "open", "ftruncate")


@dataclass(frozen=True)
class Work:
    """Something to kill.

    Attributes:
        name: for the table.
        prepare: makes what the work needs in a folder.
        run: does the work in that folder.
        judge: after the kill, returns what is wrong, "" if nothing is.
    """

    name: str
    prepare: Callable[[Path], None]
    run: Callable[[Path], None]
    judge: Callable[[Path, random.Random], str]


@contextlib.contextmanager
def _counted(kill_at: int | None) -> Iterator[list[int]]:
    """Count the calls that change files, twice each: before and after; SIGKILL this process at
    ``kill_at``.
    """
    count = [0]
    before = {name: getattr(os, name) for name in _CALLS}

    def here() -> None:
        if count[0] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count[0] += 1

    def counted(name: str) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            if name == "open" and not _writes(arguments):
                return before[name](*arguments, **named)
            here()
            try:
                return before[name](*arguments, **named)
            finally:
                here()

        return call

    for name in _CALLS:
        setattr(os, name, counted(name))
    try:
        yield count
    finally:
        for name in _CALLS:
            setattr(os, name, before[name])


def _writes(arguments: tuple[object, ...]) -> bool:
    return (
        len(arguments) > 1
        and isinstance(arguments[1], int)
        and bool(arguments[1] & (os.O_WRONLY | os.O_RDWR))
    )


def forked(body: Callable[[], int]) -> int:
    """Run ``body`` in a process of its own, silent; return the process's number."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        code = body()
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    finally:
        os._exit(code)


def points_of(work: Work, scratch: Path) -> int:
    """Return how many points the work has, and check that it ends well when nobody kills it."""
    folder = scratch / "whole"
    folder.mkdir()
    work.prepare(folder)
    told = scratch / "points"

    def body() -> int:
        with _counted(None) as count:
            with contextlib.suppress(SystemExit):
                work.run(folder)
            points = count[0]
        told.write_text(str(points))
        return 0

    os.waitpid(forked(body), 0)
    shutil.rmtree(folder)
    return int(told.read_text())


def kill_once(
    work: Work, folder: Path, *, point: int | None, seconds: float, chance: random.Random
) -> str:
    """Kill a work at a point, or after some seconds, and judge what it left; return what is wrong,
    "" if nothing is.
    """
    folder.mkdir()
    work.prepare(folder)

    def body() -> int:
        with _counted(point):
            work.run(folder)
        return 0

    child = forked(body)
    if point is None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told = folder.with_suffix(".told")

    def judged() -> int:
        try:
            wrong = work.judge(folder, chance)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a dead end)
            wrong = f"{type(error).__name__}: {error}"
        told.write_text(wrong)
        return 0

    os.waitpid(forked(judged), 0)
    wrong = told.read_text() if told.exists() else "the judge itself ended"
    shutil.rmtree(folder)
    return wrong
