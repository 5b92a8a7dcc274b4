"""Other people's libraries without what they print: converters and their packages tell of kernels
for other machines and of functions that others deprecate, none of which a user could act on.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what is printed, warned of and logged below an error's rank and at it; what is raised
    goes through.
    """
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def quiet_descriptor() -> Iterator[None]:
    """Hide what a library that is not Python writes to the process's standard error, as a greeting
    at each file that it opens; for that moment what other threads write there goes, too.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # a process without one
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        for descriptor in (kept, nowhere):
            os.close(descriptor)
