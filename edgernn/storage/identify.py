"""What a file or folder is, told by its content, and which command takes it on. Nothing is
unpickled, run or imported.

``identify`` returns a ``Kind``: the first of ``folder_kinds`` or ``file_kinds`` that fits.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgernn import storage
from edgernn.errors import UsageError
from edgernn.storage.file_kinds import FILES
from edgernn.storage.folder_kinds import FOLDERS
from edgernn.storage.foreign_files import Peek
from edgernn.storage.kind import TRAINED_ELSEWHERE, Kind

MISSING = Kind("missing", "not there", "check the name")


def identify(path: Path) -> Kind:
    """Return what stands at ``path``; a file that may not be read, or is no plain file, is a kind,
    too.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            peek = Peek.folder(path, tuple(sorted(entry.name for entry in path.iterdir())))
        elif stat.S_ISREG(mode):
            peek = Peek.file(path)
        else:
            return Kind("special", "no plain file", "give a file or a folder")
    except FileNotFoundError:
        return MISSING
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        words = storage.reason(error) if isinstance(error, OSError) else str(error)
        return Kind("unreadable", f"not to be read ({words})", "check its name and its permissions")
    return next(kind for test, kind in (FOLDERS if peek.names is not None else FILES) if test(peek))


def sentence(path: Path) -> str:
    """Return in one line what stands at ``path`` and what to do with it."""
    kind = identify(path)
    return f"{path} is {kind.name}; {kind.advise(path)}"


def path_of(found: object) -> Path:
    """Return what a caller of the Python interface gave as a path.

    Raises:
        UsageError: it is no path; says what it is and what to do with it.
    """
    if isinstance(found, str) and not found:
        raise UsageError("an empty name was given, expected the path of a run or a bundle")
    if isinstance(found, (str, os.PathLike)) and isinstance(named := os.fspath(found), str):
        return Path(named)
    raise UsageError(name_of_object(found))


def name_of_object(found: object) -> str:
    """Return in one line what a Python object is that was given in place of a path, and what to do
    with it.
    """
    kinds = {base.__module__.split(".")[0] + "." + base.__name__ for base in type(found).__mro__}
    if found is None:
        return "None was given, expected the path of a run or a bundle"
    if "torch.Module" in kinds or "torch.ScriptModule" in kinds:
        return (
            f"a torch module ({type(found).__name__}) was given, expected a Checkpoint or a path; "
            "export it with edgernn.export.export_module(NETWORK, EXAMPLE, OUT)"
        )
    if isinstance(found, dict):
        return (
            f"a dict of {len(found)} entries (a state dict?) was given, expected a Checkpoint or a "
            f"path; {TRAINED_ELSEWHERE}"
        )
    if "onnx.ModelProto" in kinds:
        return "an ONNX model was given, expected the path of a run or a bundle"
    if isinstance(found, bytes):
        return "bytes were given, expected a path as text or Path"
    return (
        f"an object of the type {type(found).__name__} was given, expected the path of a run or a "
        "bundle"
    )
