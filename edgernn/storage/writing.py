"""Files that are either whole or absent: written to a temporary name beside the target, then
renamed.

Every file that edgernn saves goes through here, so a crash, a kill or a full disk leaves what stood
there before. What a kill leaves beside it bears the mark of its process (owner.py), and whoever
writes there next clears it away.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from edgernn.errors import StorageError
from edgernn.storage import owner

_REMEDIES = {  # by what the system refused
    errno.ENOSPC: "Free some space or choose another folder",
    errno.EDQUOT: "The quota is used up: free some space or choose another folder",
    errno.EFBIG: "Raise the limit on the size of files, or choose another disk",
    errno.EROFS: "That disk can only be read: choose another folder",
    errno.EACCES: "Choose another folder, or change the permissions of this one",
    errno.EPERM: "Choose another folder, or change the permissions of this one",
    errno.ENAMETOOLONG: "Choose a shorter name",
    errno.EISDIR: "A folder stands there: choose another name",
    errno.ENOTEMPTY: "A folder stands there: choose another name",
    errno.ENOTDIR: "A file stands where a folder is needed: choose another place",
    errno.EEXIST: "A file stands where a folder is needed: choose another place",
    errno.EMFILE: "Close some programs and try again",
    errno.ENFILE: "Close some programs and try again",
}
_OTHERS = "Choose another folder, or try again"
_LEFT_OVER = re.compile(
    rf"\.(?P<name>.+)\.(?:(?P<mark>{owner.MARK})-[0-9a-z_]{{4,8}}|[0-9a-f]{{8}})\.(?P<kind>tmp|old)",
    re.DOTALL,
)
# untouched for so long, a file whose process cannot be asked about is left over
_FORGOTTEN_SECONDS = 7 * 24 * 3600.0
_SCRATCH = "edgernn"
_SWAPS = 20  # tries at putting a folder in place while others put theirs


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success rename it over ``target``, on failure
    remove it.

    The body may write a file or make a folder at the yielded path. A folder replaces only a missing
    target or another folder; that takes two renames, and a kill between them leaves the old folder
    as ``.NAME.….old``. What passes bytes on, as ``/dev/null`` or a named pipe, stays and is written
    to.

    Raises:
        StorageError: the operating system refused to write (disk full, no permission, …), or
            ``target`` is a link to what is not there.
    """
    if not target.name:
        raise StorageError(f"{str(target)!r} names no file or folder to write; choose another path")
    refuse_dangling(target)
    if _passes_on(target):
        with _poured_into(target) as temporary:
            yield temporary
        return
    temporary = _beside(target, "tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clear(target.parent, name=target.name)
        yield temporary
        if temporary.is_dir() and _may_be_a_folder(target):
            _swap_folder(temporary, target)
        else:
            temporary.replace(target)
    except OSError as error:
        raise StorageError(
            f"could not write {target}: {reason(error)}; what was saved before is unchanged. "
            f"{remedy(error)}"
        ) from error
    finally:
        remove(temporary)


def _passes_on(target: Path) -> bool:
    """Return whether ``target`` is a device, pipe or socket: a rename would put a file in its
    place.
    """
    try:
        mode = target.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def _poured_into(target: Path) -> Iterator[Path]:
    """Yield a scratch path; on success write the file that was made there to ``target``."""
    with scratch() as folder:
        made = folder / target.name
        try:
            yield made
            if made.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "it can hold no folder")
            with made.open("rb") as file, target.open("wb") as stream:
                shutil.copyfileobj(file, stream)
        except OSError as error:
            raise StorageError(
                f"could not write to {target}: {reason(error)}. {remedy(error)}"
            ) from error


def refuse_dangling(target: Path) -> None:
    """Raise StorageError where ``target`` is a link to what is not there: whoever made it means
    another place, perhaps on a disk that is not mounted.
    """
    nowhere = False
    with suppress(OSError):  # a name that is none is told where it is written
        nowhere = target.is_symlink() and not target.exists()
    if nowhere:
        raise StorageError(
            f"{target} is a link to {target.readlink()}, which is not there; it was left as it is. "
            "Make what it leads to, or choose another name"
        )


def scratch_folder() -> Path:
    """Make a folder of this process's own in the system's temporary folder, cleared of those of
    killed processes.
    """
    place = Path(tempfile.gettempdir())
    clear(place, name=_SCRATCH)
    return Path(
        tempfile.mkdtemp(prefix=f".{_SCRATCH}.{owner.own_mark()}-", suffix=".tmp", dir=place)
    )


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a ``scratch_folder`` and remove it in the end."""
    folder = scratch_folder()
    try:
        yield folder
    finally:
        remove(folder)


def clear(folder: Path, *, name: str | None = None) -> None:
    """Clear away what killed processes left in ``folder``: beside the target ``name``, or beside
    any.

    Half-written files go. A folder that was moved out of the way for a new one that never came goes
    back to its place. What belongs to a living process stays; so does, for a week, what is from
    another machine. Never raises.
    """
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        matches = ((folder / entry.name, _LEFT_OVER.fullmatch(entry.name)) for entry in entries)
        found = [
            (path, match) for path, match in matches if match and name in {None, match["name"]}
        ]
    for path, match in sorted(found, key=lambda pair: pair[1]["kind"]):  # .old before .tmp
        if not _left_over(path, match["mark"]):
            continue
        target = path.with_name(match["name"])
        if match["kind"] == "old" and not target.exists():
            with suppress(OSError):
                path.rename(target)
        else:
            remove(path)


def _left_over(path: Path, mark: str | None) -> bool:
    """Return whether the process that made ``path`` has ended, or for one that cannot be asked,
    must have by now.
    """
    state = owner.state_of(mark) if mark else "unknown"
    if state != "unknown":
        return state == "dead"
    try:
        inside = list(path.rglob("*")) if path.is_dir() and not path.is_symlink() else []
        touched = max(file.lstat().st_mtime for file in [path, *inside])
    except OSError:
        return False
    return time.time() - touched > _FORGOTTEN_SECONDS


def _beside(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.{owner.own_mark()}-{uuid.uuid4().hex[:4]}.{kind}")


def _may_be_a_folder(target: Path) -> bool:
    """Whether a folder stands at ``target``, or nothing; asked once, as others may put theirs there
    at this moment.
    """
    try:
        return stat.S_ISDIR(target.stat().st_mode)
    except FileNotFoundError:
        return True


def _swap_folder(new: Path, target: Path) -> None:
    """Put ``new`` where ``target`` is; where others do the same at this moment, the last one's
    stays.
    """
    for attempt in range(_SWAPS):
        old = _beside(target, "old")
        with suppress(FileNotFoundError):  # another one has just moved it out of the way
            target.rename(old)
        try:
            new.rename(target)
        except OSError as error:
            if attempt + 1 < _SWAPS and error.errno in (
                errno.ENOTEMPTY,
                errno.EEXIST,
            ):  # another one's came between
                remove(old)
                continue
            with suppress(FileNotFoundError):
                old.rename(target)
            raise
        remove(old)
        return


@contextmanager
def appending(target: Path) -> Iterator[TextIO]:
    """Open a text file for appending; what stands in it already is never touched.

    Raises:
        StorageError: the operating system refused to write.
    """
    try:
        with target.open("a", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise StorageError(
            f"could not append to {target}: {reason(error)}. {remedy(error)}"
        ) from error


def write_bytes(target: Path, content: bytes) -> None:
    """Write ``content`` to ``target``, whole or not at all, and flushed to the disk."""
    with replacing(target) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_text(target: Path, content: str) -> None:
    """Write ``content`` as UTF-8 with unchanged line ends, whole or not at all."""
    write_bytes(target, content.encode())


def write_json(target: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def as_utf8(name: Path | str) -> str:
    """Return a path as text that UTF-8 can hold, so that it can be recorded: bytes that are no
    UTF-8 become escapes.
    """
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")


def remove(path: Path) -> None:
    """Remove a file or a folder if it is there; never raises, as it cleans up after what did."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder, or a path that cannot exist
        shutil.rmtree(path, ignore_errors=True)


def reason(error: OSError) -> str:
    """Return in words what the system refused."""
    return error.strerror or str(error) or type(error).__name__


def remedy(error: OSError) -> str:
    """Return what to do where a file could not be written: to free space helps only where there is
    none.
    """
    return _REMEDIES.get(error.errno or 0, _OTHERS)
