"""Commands that messages name: they work as they stand when they are typed into a POSIX shell."""

from __future__ import annotations

import shlex
from pathlib import PurePath


def argument(path: PurePath | str) -> str:
    """Return a path as one argument: quoted where a shell would cut it or read it otherwise, and no
    option.
    """
    shown = str(path)
    return shlex.quote(f"./{shown}" if shown.startswith("-") else shown)
