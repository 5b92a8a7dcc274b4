"""SIGTERM and SIGHUP end a command as an error would: what it unpacked, opened or had half written
is cleared away.

Schedulers, containers and terminals that close end processes with these two, and Python's default
is to end at once. A command that has more to do, as training has, sets handlers of its own.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


@contextmanager
def unwinding() -> Iterator[None]:
    """Let each signal raise ``SystemExit`` with 128 plus its number; one that is ignored, as under
    nohup, stays ignored.
    """
    here = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in _SIGNALS if here and hasattr(signal, name)]
    changed = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
