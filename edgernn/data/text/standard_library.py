"""Which source files of the running Python's standard library the built-in corpora read."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

from edgernn.errors import UnavailableError


def module_files() -> list[Path]:
    """Return the modules of one file each, by name; nothing is imported.

    Raises:
        UnavailableError: this Python ships without its sources.
    """
    library = Path(sysconfig.get_paths()["stdlib"])
    modules = sorted(path for path in library.glob("*.py") if path.stem in sys.stdlib_module_names)
    if not modules:
        raise UnavailableError(
            f"this Python has no sources in {library}; give --data FILE or another Python"
        )
    return modules
