"""Kernels of Cortex-M, as qemu runs them on the boards of ``runtime_examples/mcu``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.export.to_c.kernels.panels import cases, program

GCC, QEMU = "arm-none-eabi-gcc", "qemu-system-arm"
MCU = ROOT / "runtime_examples" / "mcu"
for _tool, _package in {GCC: "gcc-arm-none-eabi", QEMU: "qemu-system-arm"}.items():
    if shutil.which(_tool) is None:
        pytest.skip(f"needs {_tool}, Debian's {_package}", allow_module_level=True)

CORES = {  # the core's flags, qemu's board, an instruction that the kernels are there for
    "m4": (("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16"), "mps2-an386", "smlad"),
    "m7": (("-mcpu=cortex-m7", "-mfpu=fpv5-d16"), "mps2-an500", "smlad"),
    "m55": (("-mcpu=cortex-m55",), "mps3-an547", "vmladava.s8"),
}
_MAIN = """
#include "semihosting.h"
int main(void) { leave(check()); }
"""


def built(core: str, level: str, folder: Path) -> tuple[str, Path]:
    """Compile the check for a core, without any library; return the assembly, too."""
    flags, board, _ = CORES[core]
    source, assembly, image = (folder / name for name in ("check.c", "check.s", "image.elf"))
    source.write_text(program(cases()) + _MAIN)
    given = [GCC, *flags, "-mthumb", "-mfloat-abi=hard", "-std=gnu11", level, "-ffreestanding"]
    given += ["-ffp-contract=off", "-fno-tree-loop-distribute-patterns", f"-I{MCU}"]
    given += ["-Wall", "-Wextra", "-Werror"]
    subprocess.run([*given, "-S", source, "-o", assembly], check=True, timeout=120)
    linked = ["-nostdlib", f"-L{MCU / 'boards'}", f"-T{MCU / 'boards' / board}.ld"]
    linked += ["-Wl,--defsym=stack_bytes=16384", "-o", str(image)]
    own = [assembly, MCU / "startup.c", MCU / "semihosting.c"]
    subprocess.run([*given, *own, *linked], check=True, timeout=120)
    return assembly.read_text(), image


@pytest.mark.parametrize(
    ("core", "level"),
    [("m4", "-O0"), ("m4", "-Os"), ("m4", "-O3"), ("m7", "-O3"), ("m55", "-O0"), ("m55", "-O3")],
)
def test_a_product_is_that_of_whole_numbers_to_the_bit(
    core: str, level: str, tmp_path: Path
) -> None:
    _, board, instruction = CORES[core]
    assembly, image = built(core, level, tmp_path)
    command = [QEMU, "-M", board, "-display", "none", "-monitor", "none", "-serial", "none"]
    command += ["-chardev", "stdio,id=host", "-semihosting-config"]
    command += ["enable=on,target=native,chardev=host", "-kernel", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    assert instruction in assembly
