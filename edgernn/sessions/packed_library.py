"""A library that a bundle carries for machines like this one. It is a program that nothing can
read: it is loaded on the user's word alone, where the C beside it cannot be compiled.
"""

from __future__ import annotations

import platform
from contextlib import suppress
from pathlib import Path

_FOLDER = "lib"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # as systems name them → as targets do
_SYSTEMS = {"darwin": "macos"}
_PROCESSORS = Path("/proc/cpuinfo")


def packed_library(path: Path) -> Path | None:
    """Return the library beside the folder of C at ``path`` that is built for this machine; None
    where there is none, or its instructions are not all here.
    """
    machine, system = platform.machine().lower(), platform.system().lower()
    machine = _MACHINES.get(machine, machine)
    folder = path.parent / _FOLDER / f"{machine}-{_SYSTEMS.get(system, system)}"
    found = sorted(folder.glob(f"{path.name}.*"))
    return found[0] if found and (machine != "x86_64" or _has_avx2()) else None


def _has_avx2() -> bool:
    """Whether the processor has what libraries for x86_64 are built for; where the system does not
    say so, it is taken to have it.
    """
    with suppress(OSError):
        return "avx2" in _PROCESSORS.read_text(encoding="utf-8", errors="replace").split()
    return True
