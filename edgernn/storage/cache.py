"""The user's cache: what can be made again, kept so that it need not be."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return the folder ``name`` of edgernn's cache: below ``$XDG_CACHE_HOME``, or ``~/.cache``
    where that is not set.

    Raises:
        RuntimeError: the user has no home.
    """
    said = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = said if said.is_absolute() else Path.home() / ".cache"
    return base / "edgernn" / name


def is_ours(folder: Path) -> bool:
    """Return whether nobody else may write in ``folder``: what is run may lie there."""
    mark = folder.stat()
    return not hasattr(os, "getuid") or (mark.st_uid == os.getuid() and not mark.st_mode & 0o022)
