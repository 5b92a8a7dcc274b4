"""Whose checkpoint a file is: it is opened, every importer is asked, and the surest is right.

Nothing here loads torch, so that ``edgernn inspect`` of a file of another program stays light.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgernn.containers import reading
from edgernn.containers.content import Content
from edgernn.containers.walk import tensors
from edgernn.errors import UsageError
from edgernn.importers.base import Importer, Match, Opened, Wishes
from edgernn.importers.name_map import renamed
from edgernn.importers.seen import quantised, seen_in
from edgernn.importers.table import importer_of, importers
from edgernn.storage.identify import identify, sentence
from edgernn.storage.kind import IMPORTABLE
from edgernn.wording import argument, did_you_mean

# What ``identify`` cannot tell from a checkpoint, and the readers of the containers can.
_UNTOLD = frozenset({"json", "tar", "text", "unknown", "zip", "damaged-zip"})
_BESIDE = frozenset({"keras-architecture"})  # what is no checkpoint, and lies beside one
AUTO = "auto"  # of --family: whichever importer is surest


@dataclass(frozen=True, eq=False)
class Recognised:
    """An importer that takes a checkpoint, and why it does."""

    importer: Importer
    match: Match


def open_checkpoint(
    path: Path,
    wishes: Wishes = Wishes(),  # noqa: B008 - frozen
    *,
    content: Content | None = None,
) -> Opened:
    """Read a checkpoint and its companions, without running anything in them.

    Args:
        path: of the checkpoint.
        wishes: what the user said of it.
        content: of the checkpoint, where it was read already.

    Raises:
        UsageError: a file that is known to be no checkpoint of another program; says what it is
            and which command takes it on.
            A name of ``wishes.names``, as ``name_map.read_map`` gives them, fits no tensor.
        DataError, CheckpointError: missing, damaged or hostile.
    """
    contents = []
    for place, each in enumerate((path, *wishes.companions)):
        kind = identify(each)
        if kind.key not in IMPORTABLE | _UNTOLD | (_BESIDE if place else frozenset()):
            raise UsageError(sentence(each))
        contents.append(content if content and not place else reading.read(each))
    if wishes.names:
        names = renamed(tensors(contents[0]), wishes.names)
        wishes = replace(wishes, names=names)
    return Opened(contents[0], tuple(contents[1:]), wishes)


def candidates(opened: Opened) -> list[Recognised]:
    """Return every importer that takes ``opened``, the surest first."""
    asked = ((importer, importer.match(opened)) for importer in importers())
    found = [Recognised(importer, match) for importer, match in asked if match is not None]
    return sorted(found, key=lambda each: -each.match.sureness)


def surest(found: Sequence[Recognised]) -> list[Recognised]:
    """Return those of ``candidates`` than which none is surer: one where the file is told."""
    return [each for each in found if each.match.sureness == found[0].match.sureness]


def recognise(opened: Opened, family: str = AUTO) -> Recognised:
    """Return the importer that takes ``opened``.

    Args:
        opened: the checkpoint.
        family: a word of ``table.IMPORTERS``, or ``auto`` for the surest of all.

    Raises:
        UsageError: an unknown family or setting; the checkpoint is not of it, or of none; or of two
            that are equally sure. It says what was seen, and what to do.
    """
    path = opened.content.path
    if family != AUTO:
        importer = importer_of(family)
        match = importer.match(opened)
        if match is None:
            raise UsageError(
                f"{path} is not of the family {family} ({importer.about}): it is {seen_in(opened)}"
                f"; leave --family out, or {ways(opened)}"
            )
        return _with_known_settings(Recognised(importer, match), opened)
    found = surest(candidates(opened))
    if not found:
        raise UsageError(
            f"{path} is of no family that is known: it is {seen_in(opened)}; {ways(opened)}"
        )
    if len(found) > 1:
        told = "; ".join(f"{each.importer.word} ({each.match.why})" for each in found)
        raise UsageError(
            f"{path} fits {len(found)} families equally well: {told}; choose one with --family "
            f"{found[0].importer.word}"
        )
    return _with_known_settings(found[0], opened)


def _with_known_settings(found: Recognised, opened: Opened) -> Recognised:
    """Return ``found``; raise UsageError where a setting was given that its importer has not."""
    known = found.importer.settings
    unknown = sorted(opened.wishes.settings.keys() - known.keys())
    if unknown:
        told = ", ".join(f"{name} ({says})" for name, says in known.items())
        raise UsageError(
            f"the family {found.importer.word} has no setting {unknown[0]!r}; "
            + (f"it has {told}{did_you_mean(unknown[0], known)}" if known else "it has none")
        )
    return found


def ways(opened: Opened) -> str:
    """Say what is left to do with a checkpoint of no known family."""
    if quantised(opened.content):
        return "its weights were quantised by torch; give the checkpoint from before that"
    return _WAYS.format(path=argument(opened.content.path))


_WAYS = (
    "give --map FILE where its tensors only bear other names, or its network in Python with: "
    "edgernn export FILE.py:NAME --weights {path} --inputs AXES --out BUNDLE"
)
