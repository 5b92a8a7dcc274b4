"""The base of everything that is written as JSON, and what is told where a value does not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from edgernn.errors import UsageError
from edgernn.wording import did_you_mean

M = TypeVar("M", bound=BaseModel)


class Record(BaseModel):
    """Base of everything that is written as JSON: frozen, and no unknown key is let through."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def refuse(problem: str) -> None:
    """Raise ValueError with ``problem``, unless it is empty."""
    if problem:
        raise ValueError(problem)


def validated(kind: type[M], called: Mapping[str, str] | None = None, /, **values: Any) -> M:
    """Build ``kind`` from values that a person gave.

    Args:
        kind: of record.
        called: fields → what the person knows them as, where that is another name.
        values: of its fields.

    Raises:
        UsageError: a value does not fit; names it, and says what was expected.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        place = [str(part) for part in first["loc"]]
        place[:1] = [(called or {}).get(name, name) for name in place[:1]]
        where = f"{'.'.join(place)} is {first['input']!r}: " if place else ""
        choices = re.findall(r"'([^']*)'", reason) if first["type"] == "literal_error" else []
        raise UsageError(where + reason + did_you_mean(first["input"], choices)) from error


def first_line(error: Exception) -> str:
    """Return what a third-party error says, in one line: of a validation error, its first place and
    reason.
    """
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = "".join(f"{part}." for part in first["loc"])
        told = first["msg"].removeprefix("Value error, ")
        return f"{place[:-1]}: {told}" if place else told
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
