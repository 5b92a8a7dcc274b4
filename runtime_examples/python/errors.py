"""The one error of this example."""

from __future__ import annotations


class BundleError(Exception):
    """What was wrong, the value seen, what was expected, what to do: one line."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error, for a message of one line."""
    return next(iter(str(error).splitlines()), type(error).__name__)
