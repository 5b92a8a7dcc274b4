"""Kernels as this machine's compiler takes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgernn.sessions.compiler import find_compiler
from tests.export.to_c.kernels.panels import RUN, cases, program


def answer(source: str, level: str, folder: Path) -> int:
    """Compile and run ``check``; return what it returns."""
    file, made = folder / "check.c", folder / "check"
    file.write_text(source + RUN)
    command = [*find_compiler().command, "-std=c99", level, "-ffp-contract=off", "-Wall", "-Werror"]
    subprocess.run([*command, str(file), "-o", str(made)], check=True, timeout=120)
    return subprocess.run([str(made)], check=False, timeout=60).returncode


@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_a_product_is_that_of_whole_numbers_to_the_bit(level: str, tmp_path: Path) -> None:
    assert answer(program(cases()), level, tmp_path) == 0


def test_a_bit_is_seen(tmp_path: Path) -> None:
    assert answer(program(cases(), spoiled=37), "-O0", tmp_path) == 38
