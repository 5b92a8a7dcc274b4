"""Where a corpus comes from: a file, a folder, standard input or the built-in one, read as text
piece by piece.

A source is read twice, once for the vocabulary and once for the ids, and is never in memory as a
whole. What can only be read once (standard input, a pipe) is copied to a temporary file first.
"""

from __future__ import annotations

import codecs
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from edgernn import storage
from edgernn.data import encodings
from edgernn.data.text import counting, python_docs, python_sources
from edgernn.errors import DataError, StorageError, UsageError

STANDARD_INPUT = "-"
# a text that is built in is a row here: its name, and what reads it
BUILT_IN: dict[str, Callable[[], Iterator[str]]] = {
    "python-docs": python_docs.read_chunks,
    "python-sources": python_sources.read_chunks,
    **counting.READERS,
}
_READ_BYTES = 1 << 20
_BYTE_ORDER_MARK = "\ufeff"
_EXPECTED = (
    f"give a UTF-8 text file, a folder of them, {STANDARD_INPUT} for standard input, or one of "
    f"what is built in: {', '.join(BUILT_IN)}"
)


class CorpusSource:
    """A text that can be read any number of times; a context manager that removes what it copied.

    Attributes:
        name: what the source is called in reports and errors.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[], Iterator[str]],
        *,
        close: Callable[[], None] | None = None,
    ) -> None:
        """Make a source; ``read`` yields its non-empty pieces from the start, ``close`` removes
        temporary files.
        """
        self.name = name
        self._read = read
        self._close = close

    def __enter__(self) -> CorpusSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was copied; the source can no longer be read then."""
        if self._close is not None:
            self._close()

    def chunks(self) -> Iterator[str]:
        """Yield the text from its start in pieces of about 1 MiB at most, newlines as they are.

        Raises:
            DataError: the text is empty, unreadable, binary or not UTF-8.
        """
        empty = True
        for chunk in self._read():
            empty = False
            yield chunk
        if empty:
            raise DataError(f"the corpus {self.name} is empty; {_EXPECTED}")


def open_source(data: str, *, glob: str = "**/*.txt") -> CorpusSource:
    """Return the corpus that ``data`` names.

    Args:
        data: a file; a folder, whose files that match ``glob`` are joined in the order of their
            paths, a newline between them; ``-`` for standard input; a row of ``BUILT_IN``,
            such as ``python-docs`` (write ``./python-docs`` for a file of that name).
        glob: which files of a folder to read.

    Raises:
        DataError: nothing is there, it may not be read, or the folder has no matching file.
        StorageError: standard input could not be copied to a temporary file.
        UsageError: ``data`` is empty or ``glob`` is no pattern.
    """
    if data == STANDARD_INPUT:
        if sys.stdin is None:  # closed before the program began
            raise DataError(f"standard input is closed, so it holds no corpus; {_EXPECTED}")
        return _spool(sys.stdin.buffer, "standard input")
    if data in BUILT_IN:
        return CorpusSource(data, BUILT_IN[data])
    if not data:
        raise UsageError(f"the corpus is named by an empty text; {_EXPECTED}")
    path = Path(data)
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        files = _matching_files(path, glob)
        return CorpusSource(
            storage.as_utf8(f"{path.resolve().name}/{glob}"), lambda: _read_files(files)
        )
    if stat.S_ISFIFO(mode):
        return _spool_pipe(path)
    return CorpusSource(storage.as_utf8(path.name), lambda: _read_file(path, str(path)))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        raise DataError(f"cannot read the corpus {path}: {error.strerror}; {_EXPECTED}") from error


def _matching_files(folder: Path, glob: str) -> list[Path]:
    try:
        files = sorted(path for path in folder.glob(glob) if path.is_file())
    except (ValueError, NotImplementedError) as error:
        raise UsageError(
            f"the glob {glob!r} is no relative pattern: {error}; give one such as '**/*.txt'"
        ) from error
    if not files:
        raise DataError(
            f"the folder {folder} has no file that matches {glob!r}; give another folder or --glob"
        )
    return files


def _spool_pipe(path: Path) -> CorpusSource:
    try:
        with path.open("rb") as pipe:
            return _spool(pipe, storage.as_utf8(path))
    except OSError as error:
        raise DataError(f"cannot read the corpus {path}: {error.strerror}; {_EXPECTED}") from error


def _spool(stream: BinaryIO, name: str) -> CorpusSource:
    """Copy a stream to a temporary file, which lives until the source is closed."""
    try:
        with ExitStack() as stack:
            spool = stack.enter_context(
                tempfile.NamedTemporaryFile(prefix="edgernn-", suffix=".txt")
            )
            shutil.copyfileobj(stream, spool, _READ_BYTES)
            spool.flush()
            return CorpusSource(
                name, lambda: _read_file(Path(spool.name), name), close=stack.pop_all().close
            )
    except OSError as error:
        raise StorageError(
            f"could not copy {name} to a temporary file: {error.strerror}; free some space, "
            "set TMPDIR or give a file"
        ) from error


def _read_files(paths: Sequence[Path]) -> Iterator[str]:
    ends_line = True
    for path in paths:
        for index, chunk in enumerate(_read_file(path, str(path))):
            if index == 0 and not ends_line:
                yield "\n"
            yield chunk
            ends_line = chunk.endswith("\n")


def _read_file(path: Path, name: str) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            yield from _read_text(file, name)
    except OSError as error:
        raise DataError(f"cannot read {name}: {error.strerror}; {_EXPECTED}") from error


def _read_text(file: BinaryIO, name: str) -> Iterator[str]:
    offset = 0  # of the first byte not yet decoded
    pending = head = b""
    while True:
        block = file.read(_READ_BYTES)
        pending += block
        head = head or block
        text, used = _decode(pending, name, offset=offset, final=not block, head=head)
        if offset == 0:
            text = text.removeprefix(_BYTE_ORDER_MARK)
        if text:
            yield text
        if not block:
            return
        offset += used
        pending = pending[used:]


def _decode(content: bytes, name: str, *, offset: int, final: bool, head: bytes) -> tuple[str, int]:
    """Return the complete characters of ``content``, which begins at ``offset`` of the file, and
    their bytes.
    """
    nul = content.find(b"\0")
    if nul >= 0:
        raise encodings.refuse(
            content, None, name=name, place=f"at offset {offset + nul}", head=head
        )
    try:
        return codecs.utf_8_decode(content, "strict", final)
    except UnicodeDecodeError as error:
        raise encodings.refuse(
            content, error, name=name, place=f"at offset {offset + error.start}", head=head
        ) from error
