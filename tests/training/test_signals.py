"""Signals: raised where there is nothing to save, noted where there is, and the second one ends the
process.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from edgernn.training.signals import StoppedError, listening, name_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals to itself")
EVERY = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP] if sys.platform != "win32" else []


@pytest.mark.parametrize("number", EVERY)
def test_where_nothing_is_to_save_it_is_raised_and_the_handlers_are_put_back(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(StoppedError) as stop, listening():
        os.kill(os.getpid(), number)
    assert stop.value.number == number
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("number", EVERY)
def test_where_it_is_looked_at_it_is_noted(number: int) -> None:
    with listening() as signals, signals.noted():
        assert signals.number == 0
        os.kill(os.getpid(), number)
        assert signals.number == number


CODE = """
import os, signal, sys
from edgernn.training.signals import listening
number = int(sys.argv[1])
with listening() as signals, signals.noted():
    os.kill(os.getpid(), number)
    print("noted", signals.number, flush=True)
    os.kill(os.getpid(), number)
    print("still here", flush=True)
"""


def _child(number: int, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(int(number))],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, *EVERY[2:]])
def test_a_second_one_ends_the_process_at_once(number: int) -> None:
    assert _child(number) == (-number, f"noted {int(number)}\n")


def test_what_torchrun_passes_on_again_at_once_is_the_same_one() -> None:
    assert _child(signal.SIGTERM, WORLD_SIZE="2") == (0, "noted 15\nstill here\n")


def test_what_the_parent_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.number == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_changed() -> None:
    before, heard = signal.getsignal(signal.SIGTERM), []

    def run() -> None:
        with listening() as signals:
            heard.append((signals.number, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert heard == [(0, before)]


def test_names() -> None:
    assert [name_of(n) for n in (2, 15, 99)] == ["Ctrl-C", "SIGTERM", "signal 99"]
