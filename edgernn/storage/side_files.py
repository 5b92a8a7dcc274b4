"""Files that operating systems, file managers and synchronising programs leave in any folder.
edgernn opens none of them.

They are no part of a bundle: opening lets them lie, digests leave them out, packing and unpacking
leave them behind.
"""

from __future__ import annotations

import re
from pathlib import PurePath

_NAMES = {
    ".ds_store",  # macOS: how a window showed the folder
    ".localized",
    "icon\r",
    ".apdisk",
    "thumbs.db",  # Windows
    "ehthumbs.db",
    "desktop.ini",
    ".directory",  # KDE
    ".dropbox",
    ".dropbox.attr",
}
_FOLDERS = {
    "__macosx",
    ".spotlight-v100",
    ".trashes",
    ".trash",
    ".fseventsd",
    ".temporaryitems",
    ".appledouble",
    "$recycle.bin",
    "system volume information",
    ".dropbox.cache",
    ".stfolder",  # Syncthing
    ".stversions",
    "@eadir",  # Synology
}
_PATTERNS = re.compile(
    r"""
      \._.*                         # macOS: what its own disks keep beside a file
    | \.nfs[0-9a-f]+                # NFS: a file that was removed while it was open
    | \.fuse_hidden[0-9a-f]+        # the same of FUSE
    | \.trash-[0-9]+                # Linux: removed files of one user
    | ~\$.*                         # Office: the lock of an open document
    | \.~lock\..*\#                 # LibreOffice
    | \.syncthing\..*\.tmp | ~syncthing~.*\.tmp
    | \..*\.icloud                  # iCloud: the stand-in of a file that is not here yet
    """,
    re.VERBOSE | re.IGNORECASE,
)


def is_side_file(inner: str | PurePath) -> bool:
    """Return whether the relative path ``inner`` is such a file, or lies in such a folder."""
    return any(_is_left(part) for part in PurePath(inner).parts)


def _is_left(name: str) -> bool:
    lower = name.lower()
    return lower in _NAMES or lower in _FOLDERS or _PATTERNS.fullmatch(name) is not None
