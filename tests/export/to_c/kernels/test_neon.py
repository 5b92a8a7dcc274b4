"""Kernels of NEON, with dot products and without, as qemu runs them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.export.to_c.kernels.panels import RUN, cases, program

GCC, QEMU = "aarch64-linux-gnu-gcc", "qemu-aarch64"
CORES = {"cortex-a53": 0, "cortex-a76": 1}  # core → whether it has dot products
for _tool, _package in {
    GCC: "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    QEMU: "qemu-user",
}.items():
    if shutil.which(_tool) is None:
        pytest.skip(f"needs {_tool}, Debian's {_package}", allow_module_level=True)


@pytest.mark.parametrize("level", ["-O0", "-O3"])
@pytest.mark.parametrize("core", CORES)
def test_a_product_is_that_of_whole_numbers_to_the_bit(
    core: str, level: str, tmp_path: Path
) -> None:
    file, made = tmp_path / "check.c", tmp_path / "check"
    file.write_text(program(cases()) + RUN)
    flags = ["-std=c99", level, "-ffp-contract=off", f"-mcpu={core}", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([GCC, *flags, "-static", file, "-o", made], check=True, timeout=120)
    assert subprocess.run([QEMU, made], check=False, timeout=60).returncode == 0
    listing = subprocess.run(
        ["aarch64-linux-gnu-objdump", "-d", made], check=True, capture_output=True, text=True
    ).stdout
    assert ("\tsdot\t" in listing) == bool(CORES[core])
    assert "\tsmlal\t" in listing
