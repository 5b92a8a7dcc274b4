"""What ``edgernn inspect`` shows of a checkpoint of another program: whose it is and why, what is
in it, what it cannot give, and the command that takes it in. Nothing in it is run, and torch is not
loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgernn.cli.output import say, say_json
from edgernn.containers.content import Content
from edgernn.errors import EdgernnError
from edgernn.storage.array_files import Layout, layout
from edgernn.storage.kind import IMPORTABLE, Kind
from edgernn.wording import argument, counted

if TYPE_CHECKING:
    from edgernn.importers.recognising import Recognised

_SHOWN = 200  # arrays; a file may have thousands
_LISTED = ("npy", "npz", "safetensors")  # files of arrays alone, which are listed unread
_SHOWN_CLASSES, _SHOWN_SETTINGS = 20, 40


def inspect_foreign(
    path: Path, kind: Kind, *, as_json: bool, content: Content | None = None
) -> None:
    """Print what is in the checkpoint at ``path``; ``content`` where it was read already.

    Raises:
        DataError: it is damaged.
    """
    from edgernn.importers.recognising import candidates, open_checkpoint, surest, ways
    from edgernn.importers.seen import class_names, layout_of, quantised, settings_of

    listed = layout(path, kind.key) if kind.key in _LISTED else None
    opened, found, refusal = None, list["Recognised"](), ""
    try:
        opened = open_checkpoint(path, content=content)
        found = surest(candidates(opened))
    except EdgernnError as error:  # a half-matching file is shown all the same
        if opened is None and listed is None:
            raise
        refusal = str(error)
    content = opened.content if opened else content or Content(path, kind.key, {})
    arrays = layout_of({} if opened is None else opened.tensors) if listed is None else listed[0]
    classes, settings = class_names(content), {} if opened is None else settings_of(opened)
    told = _told(content, found, refusal)
    if as_json:
        say_json(
            {
                "kind": kind.key,
                "container": content.container,
                "families": [
                    {"family": each.importer.word, "about": each.importer.about}
                    | {"why": each.match.why, "command": _command(path, each)}
                    | {"refused": each.importer.refusal(opened) if opened else ""}
                    for each in found
                ],
                "arrays": arrays_as_json(arrays),
                "classes": classes,
                "settings": settings,
                "told": told,
                "metadata": dict(content.metadata if listed is None else listed[1]),
            }
        )
        return
    named = kind.name if kind.key in IMPORTABLE else f"{kind.name}, read as {content.container}"
    say_arrays(path, replace(kind, name=named), arrays)
    _say_words("classes and functions that it names", classes, _SHOWN_CLASSES)
    _say_words("settings", _as_words(settings), _SHOWN_SETTINGS)
    for each in found:
        say(f"family {each.importer.word}: {each.importer.about} ({each.match.why})")
    for sentence in told:
        say(f"note: {sentence}")
    refused = {each.importer.refusal(opened) for each in found if opened is not None} - {""}
    for problem in sorted(refused):
        say(f"it is not taken: {problem}")
    if not refused:
        left = ways(opened) if opened is not None else kind.advise(path)
        _say_commands(path, left, found, empty=not arrays and not quantised(content))


def checkpoint_in(path: Path) -> Content | None:
    """Return what looks like a text or an archive as a checkpoint; None where it is none."""
    from edgernn.containers.reading import read

    try:
        return read(path)
    except EdgernnError:
        return None


def say_arrays(path: Path, kind: Kind, arrays: Layout) -> None:
    """Print what the file is, and each of its arrays."""
    count = sum(math.prod(shape) for _, shape in arrays.values())
    say(f"{path} is {kind.name}: {counted(len(arrays), 'array')}, {count:,} values")
    for name, (dtype, shape) in list(arrays.items())[:_SHOWN]:
        say(f"  {name} {dtype} {list(shape)}")
    if len(arrays) > _SHOWN:
        say(f"  and {len(arrays) - _SHOWN} more")


def arrays_as_json(arrays: Layout) -> dict[str, dict[str, Any]]:
    """Return each array's dtype and shape by name."""
    return {name: {"dtype": dtype, "shape": list(shape)} for name, (dtype, shape) in arrays.items()}


def _told(content: Content, found: list[Recognised], refusal: str) -> list[str]:
    notes = [*content.told, *(note for each in found for note in each.importer.differs)]
    return list(dict.fromkeys([*notes, *([refusal] if refusal else [])]))


def _command(path: Path, found: Recognised, *, family: bool = False) -> str:
    words = ["edgernn import", argument(path), found.importer.options]
    words += [f"--family {found.importer.word}"] if family else []
    return " ".join([*filter(None, words), "--out RUN"])


def _say_commands(path: Path, left: str, found: list[Recognised], *, empty: bool) -> None:
    if empty and not found:
        say(
            "it has no tensors; what lies beside a checkpoint is given with it: edgernn import "
            f"CHECKPOINT --with {argument(path)} --out RUN, or as its --vocabulary"
        )
    elif not found:
        say(f"it is of no family that is known; {left}")
    for each in found:
        say(f"take it in with: {_command(path, each, family=len(found) > 1)}")


def _as_words(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"{f'{module}.' if module else ''}{name}={value!r}"
        for module, of in settings.items()
        for name, value in of.items()
    ]


def _say_words(what: str, words: list[str], most: int) -> None:
    if words:
        more = f" and {len(words) - most} more" if len(words) > most else ""
        say(f"{what}: {', '.join(words[:most])}{more}")
