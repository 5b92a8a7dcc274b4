"""The columns of a table with texts in it: apart by what, named how, and which of them is meant."""

from __future__ import annotations

from collections.abc import Sequence

from edgernn.errors import DataError, UsageError
from edgernn.wording import some

TEXT_NAMES = ("text", "sentence", "review", "content", "message", "utterance", "tweet", "comment")
_DELIMITERS = ",;\t"


def delimiter_of(suffix: str, header: str) -> str:
    """Return what stands between the columns: a tab in ``.tsv``, else what the header has most."""
    return "\t" if suffix == ".tsv" else max(_DELIMITERS, key=header.count)


def distinct(names: Sequence[str], where: object) -> list[str]:
    """Return the names of the columns of ``where``; raise DataError for one that stands twice."""
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{where} has two columns {twice!r}; give each a name of its own")
    return list(names)


def named_column(
    names: Sequence[str], told: str | None, *, usual: Sequence[str], where: object, option: str
) -> str:
    """Return the column that is meant: ``told``, else the only one with a usual name.

    Args:
        names: of the columns.
        told: by the caller; None finds it.
        usual: names, in lower case.
        where: the file, for an error.
        option: that names a column, for an error.

    Raises:
        DataError: none, or several, have a usual name.
        UsageError: there is no column ``told``.
    """
    if told is not None:
        if told not in names:
            raise UsageError(f"{where} has no column {told!r} ({option}); it has {some(names)}")
        return told
    found = [name for name in names if name.lower() in usual]
    if len(found) != 1:
        has = f"both {found[0]!r} and {found[1]!r}" if found else f"none of {', '.join(usual)}"
        raise DataError(
            f"{where} has the columns {some(names)}, {has}; name the one that is meant with "
            f"{option}"
        )
    return found[0]
