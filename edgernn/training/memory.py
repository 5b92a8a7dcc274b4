"""What to say when a training needs more memory than there is."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from edgernn.contract import first_line
from edgernn.errors import TrainingError

# What torch and the libraries below it say in a plain RuntimeError, in lower case.
_WORDS = (
    "out of memory",
    "not enough memory",
    "can't allocate memory",
    "bad_alloc",
    "could not create a memory",
)


@contextmanager
def naming_what_to_lower(options: str) -> Iterator[None]:
    """Turn exhausted memory into one line that names the ``options`` to lower.

    Raises:
        TrainingError: memory was exhausted; what was saved before stands.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not _is_exhaustion(error):
            raise
        raise TrainingError(
            f"there is not enough memory for this run ({first_line(error)}); what was saved "
            "before stands. "
            f"Start a new run in another folder with a smaller {options}"
        ) from error


def _is_exhaustion(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _WORDS)
