"""The plan of a run: which rows of which files make which part of the output.

It lies in the output's folder. A run that is started again with the same plan goes on where parts
are missing; with another one it is refused, because parts of two runs would stand side by side.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from edgernn.batch.places import Place, reading
from edgernn.batch.rows import Span
from edgernn.errors import StorageError, UsageError, one_line
from edgernn.storage import strict_json

PLAN, SUMMARY = "_plan.json", "_done.json"


@dataclass(frozen=True)
class Part:
    """Rows that are answered together, and written as one file.

    Attributes:
        number: its place among the parts.
        first: the number of its first row among all rows.
        count: rows.
        source: the file, as a URL; empty where each row is a file.
        block, offset: where in the file, see ``Span``.
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

    @property
    def span(self) -> Span:
        """Its rows in the file."""
        return Span(self.block, self.offset, self.count)

    def __str__(self) -> str:
        last = self.first + self.count - 1
        return f"rows {self.first} to {last} of {self.source or self.files[0]}"


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


def agree(plan: Plan, out: Place) -> None:
    """Write the plan into the output's folder, or find that it lies there already.

    Raises:
        StorageError: the folder cannot be made.
        UsageError: it holds another run, files of the input, or something else.
    """
    if inside := next((url for url in plan.sources if out.holds(url)), None):
        raise UsageError(f"{out.url} holds {inside}, which is input; give another --output")
    place = out.inside(PLAN)
    with reading(place):
        if place.filesystem.isfile(out.path):
            raise UsageError(f"{out.url} is a file, expected a folder; give another --output")
        planned = place.filesystem.exists(place.path)
    if planned:
        _refuse_another(plan, out, place.read())
        return
    with reading(out):
        there = out.filesystem.exists(out.path) and out.filesystem.ls(out.path, detail=False)
    if any(not _left_over(path) for path in there or ()):
        raise UsageError(f"{out.url} is not empty and holds no run; give another --output")
    try:
        out.filesystem.makedirs(out.path, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {out.url} ({one_line(str(error))}); give another --output"
        ) from error
    if not place.create(plan.to_json()):  # another run began at the same time
        _refuse_another(plan, out, place.read())


def _left_over(path: str) -> bool:
    """Return whether a file is what a run that was killed left of its plan."""
    name = path.rpartition("/")[2]
    return name.endswith(".tmp") and name.lstrip(".").startswith(PLAN)


def _refuse_another(plan: Plan, out: Place, content: bytes) -> None:
    try:
        before = strict_json.parse_object(content.decode("utf-8", "replace"))
    except ValueError as error:
        raise UsageError(
            f"{out.inside(PLAN).url} is damaged ({error}); give another --output"
        ) from error
    if told := _difference(before, json.loads(plan.to_json())):
        raise UsageError(
            f"{out.url} holds another run: {told}; give another --output, or clear that one"
        )


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Return in what two plans differ, in a person's words; nothing where they do not."""
    name = next((name for name in now if before.get(name) != now[name]), "")
    was, given = before.get(name), now.get(name)
    if name in ("options", "sources") and isinstance(was, dict) and given:
        key = next(key for key in [*given, *was] if was.get(key) != given.get(key))
        if name == "options":
            return _option(key, was.get(key), given.get(key))
        if key in was and key in given:
            return f"{key} was changed"
        return f"{key} is {'new in' if key in given else 'missing from'} the input"
    whole = {"": "", "bundle": "of another bundle", "parts": "--rows is not the same"}
    return whole[name] if name in whole else _option(name, was, given)


def _option(name: str, was: Any, given: Any) -> str:
    before, now = (
        "not given" if value is None else ",".join(value) if isinstance(value, list) else str(value)
        for value in (was, given)
    )
    return f"--{name.replace('_', '-')} was {before} and is {now}"
