"""Files and folders anywhere that fsspec reaches: this machine, an object store, a server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from edgernn import storage
from edgernn.errors import DataError, StorageError, UnavailableError, UsageError, one_line

EXTRA = "pip install 'edgernn[batch]'"


def package(name: str) -> Any:
    """Return a package of the extra; raise UnavailableError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        top = name.partition(".")[0]
        raise UnavailableError(f"bulk work needs the package {top!r}; run: {EXTRA}") from error


@dataclass(frozen=True)
class Place:
    """A path on a filesystem: ``s3://bucket/reviews``, ``reviews.csv``."""

    filesystem: Any
    path: str
    url: str

    @classmethod
    def of(cls, url: str) -> Place:
        """Return the place that ``url`` names.

        Raises:
            UnavailableError: fsspec, or what it needs for such a URL, is not installed.
            UsageError: it is empty, or no filesystem has such a protocol.
        """
        if not url.strip():
            raise UsageError(f"{url!r} is no path; expected that of a file or folder")
        core = package("fsspec.core")
        try:
            filesystem, path = core.url_to_fs(url if "://" in url else str(Path(url).absolute()))
        except ImportError as error:
            raise UnavailableError(f"{url}: {one_line(str(error))}") from error
        except ValueError as error:
            raise UsageError(f"{url}: {one_line(str(error))}") from error
        return cls(filesystem, path, url)

    @property
    def local(self) -> Path | None:
        """The path on this machine; None where it is elsewhere."""
        protocol = self.filesystem.protocol
        words = (protocol,) if isinstance(protocol, str) else protocol
        return Path(self.path) if "file" in words else None

    def inside(self, name: str) -> Place:
        """Return a place in this folder."""
        return Place(self.filesystem, f"{self.path.rstrip('/')}/{name}", f"{self.url}/{name}")

    def at(self, path: str) -> Place:
        """Return another path of this filesystem."""
        return Place(self.filesystem, path, self.filesystem.unstrip_protocol(path))

    def holds(self, url: str) -> bool:
        """Return whether a URL lies in this folder."""
        return url.startswith(f"{self.at(self.path).url.rstrip('/')}/")

    def opened(self) -> Any:
        """Return the file, opened to be read."""
        return self.filesystem.open(self.path, "rb")

    def mark(self) -> tuple[int, str]:
        """Return the size in bytes, and what changes when the content does."""
        info = self.filesystem.info(self.path)
        token = next((info[key] for key in ("ETag", "etag", "md5Hash", "mtime") if key in info), "")
        return int(info["size"] or 0), str(token)

    def write(self, content: bytes) -> None:
        """Write a file, whole or not at all.

        Raises:
            StorageError: it could not be written.
        """
        if (local := self.local) is not None:
            storage.write_bytes(local, content)
            return
        folder, _, name = self.path.rpartition("/")
        beside = f"{folder}/.{name}.{uuid4().hex}.tmp"  # readers of the folder pass over it
        try:
            self.filesystem.pipe_file(beside, content)
            self.filesystem.mv(beside, self.path)
        except Exception as error:
            with suppress(Exception):
                self.filesystem.rm_file(beside)
            raise _unwritten(self, error) from error

    def create(self, content: bytes) -> bool:
        """Write a file that is not there; return whether it was not. Of two that do so at one time
        one alone does.

        Raises:
            StorageError: it could not be written.
        """
        if (local := self.local) is not None:
            return _created(local, content)
        try:
            self.filesystem.pipe_file(self.path, content, mode="create")
        except FileExistsError:
            return False
        except (NotImplementedError, TypeError):  # a store that cannot say whether one is there
            self.write(content)
        except Exception as error:
            raise _unwritten(self, error) from error
        return True

    def read(self) -> bytes:
        """Return a file's bytes; raises DataError."""
        with reading(self):
            return bytes(self.filesystem.cat_file(self.path))


def _unwritten(place: Place, error: Exception) -> StorageError:
    """Return what is told of a file that a filesystem did not take."""
    system = isinstance(error, OSError) and error.errno is not None
    todo = f"; {storage.remedy(error)}" if system else ""  # type: ignore[arg-type]
    return StorageError(f"cannot write {place.url} ({one_line(str(error))}){todo}")


def _created(path: Path, content: bytes) -> bool:
    whole = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    storage.write_bytes(whole, content)
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    except OSError:  # a disk without hard links
        storage.write_bytes(path, content)
    finally:
        storage.remove(whole)
    return True


def beside(path: str, table: str) -> str:
    """Return a path that stands in a table: from the table's folder, where it is relative."""
    if not path or "://" in path or Path(path).is_absolute():
        return path
    return f"{table.rpartition('/')[0]}/{path}"


@contextmanager
def reading(place: Place) -> Iterator[None]:
    """Turn whatever a filesystem raises into one line."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{place.url} is missing; check the path") from error
    except Exception as error:
        if isinstance(error, UnavailableError | UsageError):
            raise
        raise DataError(f"cannot read {place.url} ({one_line(str(error))})") from error
