"""Signals that ask a run to end: Ctrl-C, and what schedulers (SIGTERM) and closed terminals
(SIGHUP) send.

Before the first step there is nothing to save, and a signal ends the run where it is. From then on
it is noted, and the loop saves and ends when the step is done. A second one ends the process at
once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
_ECHO_SECONDS = 5.0  # torchrun passes on what its processes have got already


class StoppedError(KeyboardInterrupt):
    """A signal asked the run to end where there was nothing to save; ``number`` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {name_of(number)}")
        self.number = number


class Signals:
    """What was asked of this process. ``number`` is the first signal's, 0 as long as there was
    none.
    """

    def __init__(self) -> None:
        self.number = 0
        self._noting = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Only note signals while the body runs, rather than end where they come; the body looks at
        ``number``.
        """
        before, self._noting = self._noting, True
        try:
            yield
        finally:
            self._noting = before

    def hear(self, number: int) -> None:
        """Note the signal ``number``; raise StoppedError where nobody would look at it."""
        self.number = number
        if not self._noting:
            raise StoppedError(number)


@contextmanager
def listening() -> Iterator[Signals]:
    """Hear signals while the body runs, in the main thread; in another one whoever runs us there
    hears them.

    A SIGTERM or SIGHUP that the parent process chose to ignore, as nohup does, stays ignored.
    """
    signals, before, first = Signals(), dict[int, object](), [0.0]

    def handle(number: int, frame: FrameType | None) -> None:
        if not signals.number:
            first[0] = time.monotonic()
            signals.hear(number)
            return
        echoed = (
            int(os.environ.get("WORLD_SIZE", "1")) > 1
            and time.monotonic() - first[0] < _ECHO_SECONDS
        )
        if not echoed:
            _put_back(before)
            os.kill(os.getpid(), number)

    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    try:
        for number in numbers:
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, handle)
    except ValueError:  # not the main thread
        yield signals
        return
    try:
        yield signals
    finally:
        _put_back(before)


def name_of(number: int) -> str:
    """Return a signal's name, or what people call it."""
    if number == signal.SIGINT:
        return "Ctrl-C"
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _put_back(before: dict[int, object]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler if handler is not None else signal.SIG_DFL)  # type: ignore[arg-type]
