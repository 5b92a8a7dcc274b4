"""Libraries for 64-bit Arm, loaded and run by qemu: ``.ci/targets`` installs what that takes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edgernn.contract import FileContract
from edgernn.export.to_c.targets.build import built
from edgernn.export.to_c.targets.table import TARGETS
from edgernn.sessions.c_folder import checked_sources

GCC, QEMU, LIBC = "aarch64-linux-gnu-gcc", "qemu-aarch64", Path("/usr/aarch64-linux-gnu")
for _tool, _package in {GCC: "gcc-aarch64-linux-gnu", QEMU: "qemu-user"}.items():
    if shutil.which(_tool) is None:
        pytest.skip(f"needs {_tool}, Debian's {_package}", allow_module_level=True)
PROGRAM = """
#include "step.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **given)
{
    static net_state state;
    static float logits[WIDTH];
    int64_t token;
    net_inputs inputs = {&token};
    net_outputs outputs = {logits};
    void *library = dlopen(given[1], RTLD_NOW);
    if (!library) { puts(dlerror()); return 1; }
    int (*step)(const net_inputs *, net_state *, net_outputs *) = dlsym(library, "net_step");
    if (!step) { puts(dlerror()); return 1; }
    for (int at = 2; at < count; ++at) {
        token = atoi(given[at]);
        if (step(&inputs, &state, &outputs)) { return 1; }
        fwrite(logits, sizeof logits, 1, stdout);
    }
    return 0;
}
"""


def ran(files: Mapping[str, bytes], library: Path, ids: list[int], width: int) -> np.ndarray:
    """Return the bits of the logits that the library gives in qemu."""
    folder = library.parent
    (folder / "step.h").write_bytes(files["step.h"])
    (folder / "main.c").write_text(PROGRAM)
    command = [GCC, "-std=gnu11", f"-DWIDTH={width}", "main.c", "-o", "main", "-ldl"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    command = [QEMU, "-cpu", "max", "-L", str(LIBC), str(folder / "main"), str(library)]
    done = subprocess.run([*command, *map(str, ids)], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return np.frombuffer(done.stdout, np.uint32).reshape(len(ids), width)


@pytest.mark.parametrize("name", ["aarch64-linux", "aarch64-linux-dotprod"])
def test_a_library_gives_the_bits_of_this_machine(
    built_folder: Path, ids: list[int], wanted: np.ndarray, name: str, tmp_path: Path
) -> None:
    library = Path(shutil.copy(built_folder / "c" / "lib" / name / "step.so", tmp_path))
    files = checked_sources(built_folder / "c" / "step")
    assert (ran(files, library, ids, wanted.shape[1]) == wanted.view(np.uint32)).all()


@pytest.mark.parametrize("name", ["aarch64-linux", "aarch64-linux-dotprod"])
def test_one_of_integers_does_too(
    integer_folder: tuple[Path, FileContract],
    ids: list[int],
    wanted_integers: np.ndarray,
    name: str,
    tmp_path: Path,
) -> None:
    folder, own = integer_folder
    files = checked_sources(folder / "c" / "step-w8a7")
    library = tmp_path / "step.so"
    library.write_bytes(built(TARGETS[name], files, own))
    bits = wanted_integers.view(np.uint32)
    assert (ran(files, library, ids, bits.shape[1]) == bits).all()
