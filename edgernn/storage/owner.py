"""Whose a temporary file is: a process's mark in a file's name, and whether that process still
lives.

A mark is ``PID-PLACE-START``. PLACE stands for the machine and its space of process numbers, as a
shared disk may hold files of other machines and containers. START stands for the process's first
moment, as a number is given out again.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from pathlib import Path

MARK = r"\d+-[0-9a-f]{6}-[0-9a-f]{6}"
_NO_START = "000000"  # where the system does not tell when a process began
_GONE = ("Z", "X")  # a killed process that its parent has not yet asked about


def own_mark() -> str:
    """Return the mark of this process."""
    return f"{os.getpid()}-{_place()}-{_start(os.getpid()) or _NO_START}"


def state_of(mark: str) -> str:
    """Return whether the process of ``mark`` lives; ``unknown`` for one of another machine, and on
    Windows.
    """
    number, place, start = mark.split("-")
    if place != _place() or os.name == "nt":
        return "unknown"
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return "dead"
    except PermissionError:  # somebody else's, so it is there
        pass
    known = _start(int(number))
    return "dead" if known == "" or (known and start not in {known, _NO_START}) else "alive"


def host() -> str:
    """Return what this machine calls itself."""
    return platform.node() or "this machine"


@functools.cache
def _place() -> str:
    parts = [host()]
    for read in (
        Path("/etc/machine-id").read_text,
        lambda: Path("/proc/self/ns/pid").readlink().name,
    ):
        try:
            parts.append(read().strip())
        except (OSError, UnicodeDecodeError):
            parts.append("")
    return _short("|".join(parts))


def _start(number: int) -> str | None:
    """Return what stands for the moment a process began; None where that is unknown, "" where it
    has ended.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        fields = Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if fields[0].decode() in _GONE:
        return ""
    return _short(f"{boot.decode().strip()}|{fields[19].decode()}")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:6]
