"""Running files in foreign runtimes, in child processes that may crash, hang or take too much
memory: that is one cell of the table, and another child goes on with the next file.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from _elsewhere import Runtime
from _elsewhere_cases import Case
from _elsewhere_child import MARK
from _elsewhere_install import shortened

from edgernn.formats.compatibility import CRASHED, SLOW

CHILD = Path(__file__).resolve().parent / "_elsewhere_child.py"
_POLL_SECONDS = 0.1
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_QUIET = {**dict.fromkeys(_THREADS, "1"), "TF_CPP_MIN_LOG_LEVEL": "3"}
Lines = queue.Queue[str | None]


def run(
    runtime: Runtime, row: Path, place: Path, cases: Iterable[Case]
) -> dict[Case, dict[str, Any]]:
    """Run every case; return what became of each: ``difference`` and ``fixed``, or ``verdict`` and
    ``line``.

    Args:
        runtime: the row, which lies in the file ``row``.
        place: where the runtime is installed.
        cases: what to run.
    """
    left = list(cases)
    found: dict[Case, dict[str, Any]] = {}
    while left:
        found |= dict(_child(runtime, row, place, left))
        left = [case for case in left if case not in found]
    return found


def _child(
    runtime: Runtime, row: Path, place: Path, cases: list[Case]
) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Yield what became of each case until the child ends: of the first at least."""
    waiting = {str(case.folder): case for case in cases}
    current = str(cases[0].folder)
    program = (
        ["node", row.with_suffix(".mjs")] if runtime.npm else [place / "bin/python", CHILD, row]
    )
    with _started([*program, runtime.name, *waiting], place) as (process, lines):
        for event in _events(process, lines, runtime):
            current = event.get("case", current)
            if event["event"] == "begins" or current not in waiting:
                continue
            case = waiting.pop(current)
            if event["event"] == "ran":
                yield case, compared(runtime.name, case, fixed=event["fixed"])
            elif event["event"] == "other shape":
                yield case, {"difference": None, "fixed": False}
            else:
                yield case, {"verdict": event["event"], "line": shortened(event["line"])}


def _events(
    process: subprocess.Popen[str], lines: Lines, runtime: Runtime
) -> Iterator[dict[str, Any]]:
    """Yield what the child tells, and at its end, by itself or by a limit, how it ended."""
    began = time.monotonic()
    while True:
        try:
            line = lines.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if time.monotonic() - began > runtime.seconds:
                yield {"event": SLOW, "line": f"it took more than {runtime.seconds} s"}
                return
            if _megabytes(process.pid) > runtime.megabytes:
                yield {"event": SLOW, "line": f"it took more than {runtime.megabytes} MB"}
                return
            continue
        if line is None:
            yield {"event": CRASHED, "line": _end(process.wait())}
            return
        if line.startswith(MARK):
            began = time.monotonic()
            yield json.loads(line.removeprefix(MARK))


def _end(code: int) -> str:
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with {code}"
    return f"the process ended {how}"


@contextmanager
def _started(command: list[object], place: Path) -> Iterator[tuple[subprocess.Popen[str], Lines]]:
    """Start a child in a session of its own, which is ended whole, and read its lines aside."""
    path = f"{place}/bin:{os.environ['PATH']}"
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, errors="replace", start_new_session=True,
        env={**os.environ, **_QUIET, "PATH": path, "PLACE": str(place)},
    )  # fmt: skip
    lines: Lines = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield process, lines
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()


def _megabytes(pid: int) -> float:
    """Return the memory that a process holds, 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def compared(name: str, case: Case, *, fixed: bool) -> dict[str, Any]:
    """Return the largest difference of what a runtime wrote from native onnxruntime, relative to
    the largest value of its tensor where that is above 1; None where tokens differ or a value is
    not finite.
    """
    outputs = json.loads((case.folder / "case.json").read_text())["outputs"]
    kind = np.dtype([(each["name"], each["dtype"], tuple(each["shape"])) for each in outputs])
    got, truth = (
        np.frombuffer((case.folder / f"{file}.bin").read_bytes(), kind) for file in (name, "truth")
    )
    worst = 0.0
    for each in kind.names or ():
        one, other = got[each], truth[each]
        if other.dtype.kind != "f":
            worst = worst if np.array_equal(one, other) else np.inf
            continue
        scale = max(1.0, float(np.abs(other).max()))
        difference = float(np.abs(one.astype(float) - other).max()) / scale
        worst = max(worst, difference if np.isfinite(difference) else np.inf)
    return {"difference": worst if np.isfinite(worst) else None, "fixed": fixed}
