"""Read a checkpoint file of any container: what it is, is told by its content, never by its name.

Nothing in it is run: no class is imported, no function called, no code compiled.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from edgernn import storage
from edgernn.containers.content import Content
from edgernn.containers.source import Source, open_source
from edgernn.containers.table import CONTAINERS, Row
from edgernn.errors import DataError
from edgernn.storage.identify import identify


def read(path: Path) -> Content:
    """Return what the file at ``path`` holds.

    Raises:
        DataError: in one line: it is missing, a folder, damaged, or of a kind that is not taken,
            and what it is.
    """
    if path.is_dir():
        kind = identify(path)
        raise DataError(f"{path} is {kind.name}, expected a checkpoint file; {kind.advise(path)}")
    try:
        source = open_source(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there; check the name") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        words = storage.reason(error) if isinstance(error, OSError) else str(error)
        raise DataError(f"cannot read {path}: {words}; give a checkpoint file") from error
    return _reader(_row(source))(source)


def _row(source: Source) -> Row:
    if source.problem:
        raise source.damaged(source.problem)
    found = next((row for row in CONTAINERS if row.test(source)), None)
    if found is None:
        kind = identify(source.path)
        raise DataError(
            f"{source.path} is {kind.name}, which holds no network that can be taken in; expected "
            f"one of {', '.join(row.word for row in CONTAINERS)}"
        )
    return found


def _reader(row: Row) -> Callable[[Source], Content]:
    module, _, name = row.reader.partition(":")
    reader: Callable[[Source], Content] = getattr(importlib.import_module(module), name)
    return reader
