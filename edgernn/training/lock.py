"""One run, one folder: a lock that a training holds while it writes, and that its death gives back.

The operating system's own lock on a file decides, so that a killed process blocks nobody. Where a
disk has no such locks, the file's content does: it names the process that holds it.
"""

from __future__ import annotations

import datetime
import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgernn import storage
from edgernn.errors import StorageError, UsageError
from edgernn.storage import owner

LOCK = ".training.lock"
_FAR = 1 << 30  # the byte that Windows locks: past the content, which others may then read
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_ATTEMPTS = 100


class _HeldError(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process, making it if need be; at the end it is gone again if
    nothing was written.

    Raises:
        UsageError: another process trains into it; the message says which, where and since when.
        StorageError: the folder cannot be made or written.
    """
    path, made = folder / LOCK, not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(path)
    except _HeldError:
        raise UsageError(
            f"{folder} is being trained into already, by {_holder(path)}; wait for its end or "
            "stop it, or choose another --out"
        ) from None
    except OSError as error:
        raise StorageError(
            f"cannot write to the folder {folder}: {storage.reason(error)}. {storage.remedy(error)}"
        ) from error
    try:
        yield
    finally:
        _release(path, descriptor)
        if made:
            with suppress(OSError):  # something was written
                folder.rmdir()


def _acquire(path: Path) -> int:
    for _ in range(_ATTEMPTS):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, path)
            if os.path.samestat(
                os.fstat(descriptor), path.stat()
            ):  # not one that its holder has just removed
                _write(descriptor)
                return descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise _HeldError


def _lock(descriptor: int, path: Path) -> None:
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise _HeldError from None
        if owner.state_of(_read(path).get("mark") or "0-0-0") == "alive":  # a disk without locks
            raise _HeldError from None


def _write(descriptor: int) -> None:
    now = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    content = {"process": os.getpid(), "host": owner.host(), "since": now, "mark": owner.own_mark()}
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, (json.dumps(content) + "\n").encode())


def _release(path: Path, descriptor: int) -> None:
    if os.name == "nt":  # where an open file cannot be removed
        os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        return
    with suppress(OSError):
        path.unlink()
    os.close(descriptor)


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return {key: str(value) for key, value in content.items()} if isinstance(content, dict) else {}


def _holder(path: Path) -> str:
    found = _read(path)
    if not {"process", "host", "since"} <= found.keys():
        return "another process"
    return f"process {found['process']} on {found['host']} since {found['since']}"
