"""Whose a file is: a process that lives, one that has ended, one whose number was given out again,
one elsewhere.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from edgernn.storage import owner

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="processes cannot be asked about on Windows"
)
CHILD = "from edgernn.storage import owner; print(owner.own_mark(), flush=True); input()"


def child() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_this_process_lives_and_its_mark_has_the_form() -> None:
    assert re.fullmatch(owner.MARK, owner.own_mark())
    assert owner.state_of(owner.own_mark()) == "alive"


def test_another_process_lives_until_it_is_killed_waited_for_or_not() -> None:
    process, mark = child()
    assert owner.state_of(mark) == "alive"
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, but still in the table
    if sys.platform == "linux":
        assert owner.state_of(mark) == "dead"
    process.communicate()
    assert owner.state_of(mark) == "dead"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process began")
def test_a_number_that_was_given_out_again_is_another_process() -> None:
    number, place, start = owner.own_mark().split("-")
    other = "0" * 5 + "1" if start[-1] != "1" else "0" * 5 + "2"
    assert owner.state_of(f"{number}-{place}-{other}") == "dead"


def test_a_process_of_another_machine_is_unknown_and_an_impossible_one_dead() -> None:
    number, place, start = owner.own_mark().split("-")
    elsewhere = "000000" if place != "000000" else "000001"
    assert owner.state_of(f"{number}-{elsewhere}-{start}") == "unknown"
    assert owner.state_of(f"{10**12}-{place}-{start}") == "dead"
