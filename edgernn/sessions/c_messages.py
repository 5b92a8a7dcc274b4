"""What a runtime prints from C to the process's standard error, past ``sys.stderr``."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def kept_messages() -> Iterator[Callable[[], list[str]]]:
    """Keep what is written to the process's standard error meanwhile, by all of its threads.

    Yields:
        A function that returns the lines so far; none of a process without standard error.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as file:
        try:
            kept = os.dup(2)
        except OSError:  # a process without one
            yield list
            return
        os.dup2(file.fileno(), 2)

        def told() -> list[str]:
            file.seek(0)
            return file.read().decode("utf-8", "replace").strip().splitlines()

        try:
            yield told
        finally:
            os.dup2(kept, 2)
            os.close(kept)
