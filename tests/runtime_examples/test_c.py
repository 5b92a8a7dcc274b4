"""The C example, compiled: it writes what the Python example and edgernn write, and passes the
golden runs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from c_program import EXAMPLES, STEPS
from hosts import Command


@pytest.mark.parametrize("artifact", STEPS)
def test_the_golden_run_measures_as_in_python(
    sanitized: Command, text: Path, artifact: str
) -> None:
    """Every line is the one of the Python example, with sanitizers on."""
    command = [
        sys.executable,
        EXAMPLES / "python" / "main.py",
        text,
        "--check",
        "--artifact",
        artifact,
    ]
    wanted = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout
    assert sanitized.good(text, "--check", "--artifact", artifact) == wanted
    assert wanted.count(" ok\n") == wanted.count("\n") in {6, 8}


def test_steps_keep_no_memory(program: Command, text: Path) -> None:
    """What a step allocates lies in onnxruntime, where the leak sanitizer is told not to look."""
    # a small process of its own starts it: a child's peak begins with the size of its parent
    script = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    peaks = []  # KB
    for steps in (1_000, 40_000):
        command = [
            sys.executable,
            "-c",
            script,
            *program.words,
            text,
            "--time",
            str(steps),
            "--library",
            program.environment["ONNXRUNTIME_LIBRARY"],
        ]
        peaks.append(
            int(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
        )
    assert peaks[1] - peaks[0] < 3_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--length", ""], "--length is ; expected a whole number"),
        (["--seed", " 1"], "expected a whole number of 0 to 18446744073709551615"),
        (["--library", "none.so"], "cannot open onnxruntime (none.so: "),
        (["--library", "libm.so.6"], "expected 1.17 or newer"),
    ],
)
def test_bad_arguments_are_refused(
    sanitized: Command, text: Path, arguments: list[str], says: str
) -> None:
    assert says in sanitized.refusal(text, *arguments)
