"""The plan of a run: which rows of which files make which part of the output.

It lies in the output's folder. A run that is started again with the same plan goes on where parts
are missing; with another one it is refused, because parts of two runs would stand side by side.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from edgernn.batch.places import Place, reading
from edgernn.batch.rows import TABLE, kind_of
from edgernn.errors import DataError, UsageError
from edgernn.storage import strict_json
from edgernn.wording import some

PLAN, SUMMARY = "_plan.json", "_done.json"
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".npz")
FILE = "file"  # the column of what has no columns: a file a row


@dataclass(frozen=True)
class Part:
    """Rows that are answered together, and written as one file.

    Attributes:
        number: its place among the parts.
        first: the number of its first row among all rows.
        count: rows.
        source: the file, as a URL; empty where each row is a file.
        block, offset: where in the file, see ``Rows``.
        files: the files, where each row is one.
    """

    number: int
    first: int
    count: int
    source: str = ""
    block: int = 0
    offset: int = 0
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of its file of the output."""
        return f"part-{self.number:05d}.parquet"


@dataclass(frozen=True)
class Plan:
    """What is done, all of it: the same plan gives the same output.

    Attributes:
        bundle: SHA-256 of what its manifest says.
        artifact, options: of the command.
        column: that is read.
        keep: columns of the input that are kept beside the answers.
        sources: URL → size and mark of each file.
        parts: in order.
    """

    bundle: str
    artifact: str | None
    options: dict[str, Any]
    column: str
    keep: tuple[str, ...]
    sources: dict[str, tuple[int, str]]
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return sum(part.count for part in self.parts)

    def to_json(self) -> bytes:
        """Return it as the bytes of its file."""
        return json.dumps(asdict(self), indent=1).encode()


def files_of(source: str) -> list[Place]:
    """Return the files that ``source`` names: one, a pattern, or those of a folder.

    Raises:
        DataError: there is none, or a folder holds tables beside other files.
    """
    place = Place.of(source)
    with reading(place):
        if any(sign in source for sign in "*?["):
            paths = list(place.filesystem.glob(place.path))
        elif place.filesystem.isdir(place.path):
            paths = [p for p in place.filesystem.find(place.path) if not _hidden(p, place.path)]
            paths = [p for p in paths if kind_of(p) or p.lower().endswith(PICTURES)]
        elif place.filesystem.exists(place.path):
            paths = [place.path]
        else:
            raise DataError(f"{source} is missing; check the path")
    if not paths:
        endings = ", ".join(suffix for kind in TABLE for suffix in kind.suffixes)
        raise DataError(f"{source} holds no rows; expected a file or folder of {endings}, pictures")
    tables = [path for path in paths if kind_of(path)]
    if tables and len(tables) < len(paths):
        other = next(path for path in paths if not kind_of(path))
        raise DataError(
            f"{source} holds tables and other files, {tables[0]} and {other}; name those that are "
            "meant by a pattern, in quotes"
        )
    return [place.at(path) for path in sorted(paths)]


def _hidden(path: str, folder: str) -> bool:
    inner = path[len(folder) :].split("/")
    return any(word.startswith((".", "_")) for word in inner if word)


def columns_of(files: list[Place]) -> list[str]:
    """Return the columns that every file has, in the order of the first one."""
    kind = kind_of(files[0].path)
    if kind is None:
        return [FILE]
    found = [kind_of(place.path).columns(place) for place in files]  # type: ignore[union-attr]
    return [name for name in found[0] if all(name in names for names in found)]


def column_of(columns: list[str], told: str | None, usual: tuple[str, ...], source: str) -> str:
    """Return the column that is read.

    Raises:
        DataError: none, or several, have a usual name.
        UsageError: there is no column ``told``.
    """
    if told is not None:
        if told not in columns:
            raise UsageError(f"{source} has no column {told!r}; it has {some(columns)}")
        return told
    found = [name for name in columns if name.lower() in usual]
    if len(found) != 1:
        has = f"both {found[0]!r} and {found[1]!r}" if found else f"none of {', '.join(usual)}"
        raise DataError(f"{source} has the columns {some(columns)}, {has}; name one with --column")
    return found[0]


def parts_of(files: list[Place], rows: int) -> tuple[Part, ...]:
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
        for block, offset, count in kind.parts(place, rows):
            parts.append(Part(len(parts), first, count, place.url, block, offset))
            first += count
    return tuple(parts)


def agree(plan: Plan, out: Place) -> None:
    """Write the plan into the output's folder, or find that it lies there already.

    Raises:
        UsageError: the folder holds another run, or something else.
    """
    place = out.inside(PLAN)
    if place.filesystem.exists(place.path):
        try:
            before = strict_json.parse_object(place.read().decode("utf-8", "replace"))
        except ValueError as error:
            raise UsageError(f"{place.url} is damaged ({error}); give another --output") from error
        now = json.loads(plan.to_json())
        if other := next((name for name in now if before.get(name) != now[name]), None):
            raise UsageError(
                f"{out.url} holds another run: {other} is not the same; give another --output, or "
                "clear that one"
            )
        return
    with reading(out):
        there = out.filesystem.exists(out.path) and out.filesystem.ls(out.path, detail=False)
    if there:
        raise UsageError(f"{out.url} is not empty and holds no run; give another --output")
    out.filesystem.makedirs(out.path, exist_ok=True)
    place.write(plan.to_json())
