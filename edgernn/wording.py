"""Words between a person and the program, the same everywhere: what was asked for, read (a share,
a whole number, one of a closed set of names), and what is told (sizes, counts, paths, plain text).
"""

from __future__ import annotations

import difflib
import math
import operator
import shlex
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Literal

from edgernn.errors import UsageError

ENCODE: Literal["encode"] = "encode"  # the graph that runs once per sequence
STEP: Literal["step"] = "step"  # the graph that every model has

# of difflib's ratio: "fp16" is 0.55 of "float16", and nothing that is 0.5 of another word is meant
# by chance
_NEAR = 0.5


def expected_one_of(found: object, known: Iterable[str]) -> str:
    """Return ``expected one of a, b`` for a name that is none of them, and which of them was likely
    meant.
    """
    names = list(known)
    return f"expected one of {', '.join(names)}{did_you_mean(found, names)}"


def did_you_mean(found: object, known: Iterable[str]) -> str:
    """Return ``; did you mean a?``, or nothing where no name is like the one found."""
    near = difflib.get_close_matches(str(found).lower(), list(known), n=1, cutoff=_NEAR)
    return f"; did you mean {near[0]}?" if near else ""


def whole(found: object, name: str, *, remedy: str = "") -> int:
    """Return a whole number of 1 or more that a caller gave as ``name``.

    Raises:
        UsageError: it is none; ``remedy`` says what to do.
    """
    try:
        number = operator.index(found)  # type: ignore[arg-type] # whatever a caller of Python gave
    except TypeError as error:
        raise UsageError(
            f"{name} is {found!r}, expected a whole number of 1 or more{remedy}"
        ) from error
    if number < 1:
        raise UsageError(f"{name} is {number}, expected 1 or more{remedy}")
    return number


def share(value: str | float) -> float:
    """Read a share of a whole, as ``5%`` or ``0.05``; text without ``%`` is a number up to 1, as a
    number is.

    Raises:
        UsageError: it is no number, not finite, below 0, or above 1 without ``%``: nobody means 500
            % by 5.
    """
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError as error:
        raise UsageError(f"{text!r} is no share, expected one as 1% or 0.01") from error
    if not (math.isfinite(number) and number >= 0):
        raise UsageError(
            f"{text} is no share, expected 0 or more (0.01 or 1% for one in a hundred)"
        )
    if text.endswith("%"):
        return number / 100
    if number > 1:
        part = f" or {number / 100:g}" if number <= 100 else ""
        raise UsageError(f"{text} is above 1, which is no share without %; write {text}%{part}")
    return number


def plain(text: str) -> str:
    """Return ``text`` with every character that cannot be shown written as its escape, as
    ``\\x1b``.
    """
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def size(count: int) -> str:
    """Return a number of bytes in decimal units, as ``3.5 MB``."""
    power = min(3, max(0, (len(str(count)) - 1) // 3))
    return (
        f"{count} B" if power == 0 else f"{count / 1000**power:.1f} {('kB', 'MB', 'GB')[power - 1]}"
    )


def counted(count: int, noun: str) -> str:
    """Return ``1 check`` or ``3 checks``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def some(names: Sequence[str]) -> str:
    """Return the first three of ``names``, and dots where there are more."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def argument(path: PurePath | str) -> str:
    """Return a path as one argument: quoted where a shell would cut it or read it otherwise, and no
    option.
    """
    shown = str(path)
    return shlex.quote(f"./{shown}" if shown.startswith("-") else shown)
