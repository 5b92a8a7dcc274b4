"""The standard streams while a command runs: every text can be written, and a closed or full one is
an error in words.

``guarded`` puts a guard before stdout and stderr. A character that the encoding lacks is written as
its escape. A reader of stdout that went away is no error: nothing more is written, and the command
goes on to what it saves. A stdout that is closed or full raises StorageError. Progress that stderr
does not take is lost, which is no error either.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from edgernn.errors import StorageError

_GONE = frozenset({errno.EPIPE, errno.ESHUTDOWN})


class _Guard:
    """Passes everything on to a stream but for ``write`` and ``flush``, whose failures become
    ``failed``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write ``text``; nothing once the reader has gone."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write them one by one."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand on what is buffered."""
        self._try(self._stream.flush)

    def _try(self, action: Any) -> None:
        if self.gone:
            return
        try:
            action()
        except OSError as error:
            self.gone = True
            _send_to_nowhere(self._stream)
            self.failed(error)

    def failed(self, error: OSError) -> None:
        """Say what a failure means."""


class _Results(_Guard):
    """Stdout: who asked for a result must hear that it could not be written."""

    def failed(self, error: OSError) -> None:
        if error.errno not in _GONE:
            raise StorageError(
                f"could not write to standard output: {error.strerror or error}; send it to a "
                "file or a program that takes it"
            ) from error


class _Closed(io.TextIOBase):
    """Stands for a stdout that was closed before the program began."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")


def reader_gone() -> bool:
    """Return whether whoever read stdout has gone, so that nothing that is written any more is
    read.
    """
    return isinstance(sys.stdout, _Guard) and sys.stdout.gone


@contextmanager
def guarded() -> Iterator[None]:
    """Guard stdout and stderr; put back on leaving what stood there."""
    before = sys.stdout, sys.stderr
    if None in (sys.stdin, sys.stdout, sys.stderr):
        _fill_descriptors()
    sys.stdout = cast(TextIO, _Results(_escaping(sys.stdout or cast(TextIO, _Closed()))))
    sys.stderr = cast(TextIO, _Guard(_escaping(sys.stderr or io.StringIO())))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _escaping(stream: TextIO) -> TextIO:
    """Let ``stream`` write what its encoding lacks as escapes, as ``\\u4e00``."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _fill_descriptors() -> None:
    """Occupy closed standard descriptors: else the next file that is opened, a bundle's, would be
    taken for one of them.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free


def _send_to_nowhere(stream: TextIO) -> None:
    """Let what ``stream`` still holds go nowhere: Python flushes it at exit, and would complain."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
