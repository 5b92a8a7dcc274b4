"""The C example, compiled: it writes what the Python example and edgernn write, and passes the
golden runs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from c_drivers import SAMPLE_DRIVER, UNIFORM_DRIVER
from c_program import EXAMPLES, STEPS, Program

from edgernn.contract.random_numbers import uniform_numbers
from edgernn.decoding.sampling import Sampler


@pytest.mark.parametrize("artifact", STEPS)
def test_the_golden_run_measures_as_in_python(
    sanitized: Program, text: Path, artifact: str
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


def test_steps_keep_no_memory(program: Program, text: Path) -> None:
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
            program.path,
            text,
            "--time",
            str(steps),
            "--library",
            program.library,
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
    sanitized: Program, text: Path, arguments: list[str], says: str
) -> None:
    assert says in sanitized.refusal(text, *arguments)


def test_the_sampler_chooses_what_edgernn_chooses(drive: Callable[..., str]) -> None:
    random = np.random.default_rng(6)
    lines, wanted = [], []
    for number in range(600):
        logits = np.round(random.normal(0, 3, int(random.integers(1, 60))), number % 3).astype(
            np.float32
        )  # with ties
        temperature = float(random.choice([0, 0.3, 1, 2.5]))
        top_k, top_p = int(random.choice([0, 1, 4, 100])), float(random.choice([1, 0.9, 0.5, 0.01]))
        uniform = float(random.choice([random.random(), 0, 1 - 2**-53]))
        values = " ".join(repr(float(value)) for value in logits)
        lines.append(f"{len(logits)} {temperature!r} {top_k} {top_p!r} {uniform!r} {values}")
        wanted.append(Sampler(temperature, top_k, top_p).pick(logits, uniform))
    said = drive(SAMPLE_DRIVER, given="\n".join(lines).encode())
    assert [int(line) for line in said.splitlines()] == wanted


def test_random_numbers_are_those_of_the_library(drive: Callable[..., str]) -> None:
    places = [(1234567, position) for position in range(5)] + [
        (0, 0),
        (2**64 - 1, 3),
        (7, 2**53),
        (2**53, 11),
    ]
    given = "".join(f"{seed} {position}\n" for seed, position in places).encode()
    said = [float(line) for line in drive(UNIFORM_DRIVER, given=given).split()]
    known = (
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    )
    assert said[:5] == [(bits >> 11) * 2.0**-53 for bits in known]
    assert said == [
        float(uniform_numbers(seed, 1, position=position)[0]) for seed, position in places
    ]
