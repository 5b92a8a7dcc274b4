"""What the benchmarks share: a Markdown table, the machine they ran on, and child processes that
are measured.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table and the machine under it."""
    print("| " + " | ".join(headings) + " |")
    print("|" + "---|" * len(headings))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    print(f"\n{machine}, Python {platform.python_version()}\n", flush=True)


@dataclass(frozen=True)
class Child:
    """A finished ``edgernn`` process."""

    seconds: float
    peak_bytes: int
    modules: frozenset[str]
    stdout: str


# For a child process: on Linux ``ru_maxrss`` begins at the peak of the process that started it.
PEAK = """
import resource, sys
from pathlib import Path
def peak_bytes():
    status = Path("/proc/self/status")
    if status.is_file():
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(words[1]) * 1024 for words in lines if words[0] == "VmHWM:")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
"""
_WRAPPER = f"""
{PEAK}
import json
sys.argv = ["edgernn", *json.loads(sys.argv[1])]
from edgernn.cli.app import main
try:
    main()
except SystemExit as stop:
    code = stop.code
else:
    code = 0
top = sorted({{name.split(".")[0] for name in sys.modules}})
sys.stderr.write("\\n" + json.dumps({{"peak": peak_bytes(), "modules": top}}))
raise SystemExit(code)
"""


def edgernn(*arguments: object) -> Child:
    """Run ``edgernn`` with ``arguments`` in a process of its own; raise if it fails."""
    began = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        _WRAPPER,
        json.dumps([str(argument) for argument in arguments]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"edgernn {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    told = json.loads(done.stderr.splitlines()[-1])
    return Child(seconds, told["peak"], frozenset(told["modules"]), done.stdout)


def megabytes(count: int) -> str:
    """Return a size in MB."""
    return f"{count / 1e6:.0f} MB"


def corpus_argument(default: str = "python-docs") -> str:
    """Return the corpus named on the command line, else the built-in one."""
    data = sys.argv[1] if len(sys.argv) > 1 else default
    if data != "python-docs" and not Path(data).exists():
        raise SystemExit(f"usage: {sys.argv[0]} [TEXT-FILE]: there is no {data}")
    return data
