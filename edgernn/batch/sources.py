"""What a run reads: the files, their columns, and how their rows are cut into parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from edgernn.batch.kinds import TABLE, kind_of
from edgernn.batch.places import Place, package, reading
from edgernn.batch.plan import PLAN, Part
from edgernn.data.columns import named_column
from edgernn.errors import DataError, UsageError
from edgernn.wording import some

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".npz")
FILE = "file"  # the column of what has no columns: a file a row
_TEXTS = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
Columns = Mapping[str, Mapping[str, Any]]  # URL of a file → its columns → their Arrow types


def files_of(source: str) -> list[Place]:
    """Return the files that ``source`` names: one, a pattern, or those of a folder, without hidden
    ones and what earlier runs wrote into folders of it.

    Raises:
        DataError: there is none, or a folder holds tables beside other files.
    """
    place = Place.of(source)
    with reading(place):
        if any(sign in source for sign in "*?["):
            paths = [p for p in place.filesystem.glob(place.path) if _is_file(place, p)]
        elif place.filesystem.isdir(place.path):
            paths = _found_in(place)
        elif place.filesystem.exists(place.path):
            paths = [place.path]
        else:
            raise DataError(f"{source} is missing; check the path")
    tables = [path for path in paths if kind_of(path)]
    if not tables and not any(map(_is_picture, paths)):
        raise DataError(f"{source} holds no rows; expected a file or folder of {_known()}")
    if tables and len(tables) < len(paths):
        other = next(path for path in paths if not kind_of(path))
        raise DataError(
            f"{source} holds tables and other files, {tables[0]} and {other}; name those that are "
            "meant by a pattern, in quotes"
        )
    return [place.at(path) for path in sorted(paths)]


def _found_in(folder: Place) -> list[str]:
    inner = [path[len(folder.path) :] for path in folder.filesystem.find(folder.path)]
    runs = {path.removesuffix(PLAN) for path in inner if path.endswith(f"/{PLAN}")} - {"/"}
    return [
        folder.path + path
        for path in inner
        if not any(word.startswith((".", "_")) for word in path.split("/"))
        and not path.startswith(tuple(runs))
        and (kind_of(path) or _is_picture(path))
    ]


def _is_file(place: Place, path: str) -> bool:
    return bool(place.filesystem.isfile(path))


def _is_picture(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in PICTURES


def _known() -> str:
    return ", ".join([*(suffix for kind in TABLE for suffix in kind.suffixes), "or pictures"])


def columns_of(files: Sequence[Place]) -> Columns:
    """Return the columns of every file."""
    found: dict[str, Mapping[str, Any]] = {}
    for place in files:
        kind = kind_of(place.path)
        found[place.url] = (
            {FILE: package("pyarrow").string()} if kind is None else kind.columns(place)
        )
    return found


def common(columns: Columns) -> list[str]:
    """Return the names that every file has, in the order of the first one."""
    first = next(iter(columns.values()))
    return [name for name in first if all(name in each for each in columns.values())]


def column_of(columns: Columns, told: str | None, usual: Sequence[str], source: str) -> str:
    """Return the column that is read.

    Raises:
        DataError: none, or several, have a usual name, or there are no columns.
        UsageError: there is no column ``told``, or it holds no texts.
    """
    names = common(columns)
    if names == [FILE] and kind_of(next(iter(columns))) is None and FILE not in usual:
        raise DataError(f"{source} holds pictures, and the model reads texts; expected {_known()}")
    column = named_column(names, told, usual=usual, where=source, option="--column")
    for url, types in columns.items():
        if not any(word in _TEXTS for word in _words(types[column])):
            raise UsageError(
                f"the column {column!r} of {url} holds {types[column]}, expected texts; name "
                "another one with --column"
            )
    return column


def _words(kind: Any) -> list[str]:
    """Return the name of a type; of a dictionary, of that which its values have."""
    return [str(getattr(kind, "value_type", kind)) if "dictionary" in str(kind) else str(kind)]


def kept_of(columns: Columns, told: Sequence[str] | None, source: str) -> tuple[str, ...]:
    """Return the columns that stand beside the answers: those told, or all but bytes.

    Raises:
        DataError: files have one with different types.
        UsageError: there is none of that name.
    """
    names = common(columns)
    if unknown := [name for name in told or () if name not in names]:
        raise UsageError(f"{source} has no column {unknown[0]!r} (--keep); it has {some(names)}")
    (one, first), *others = columns.items()
    if told is None:
        told = [name for name in names if "binary" not in str(first[name]) and name != FILE]
    for name in told:
        for url, types in others:
            if types[name] != first[name]:
                raise DataError(
                    f"the column {name!r} holds {types[name]} in {url} and {first[name]} in {one}, "
                    "which no table can have side by side; name others with --keep"
                )
    return tuple(dict.fromkeys(told))


def parts_of(files: Sequence[Place], rows: int) -> tuple[Part, ...]:
    """Cut the rows of files into parts of about ``rows``."""
    parts: list[Part] = []
    first = 0
    if kind_of(files[0].path) is None:
        for start in range(0, len(files), rows):
            urls = tuple(place.url for place in files[start : start + rows])
            parts.append(Part(len(parts), start, len(urls), files=urls))
        return tuple(parts)
    for place in files:
        kind = kind_of(place.path)
        assert kind is not None
        for span in kind.parts(place, rows):
            parts.append(Part(len(parts), first, span.count, place.url, span.block, span.offset))
            first += span.count
    return tuple(parts)
