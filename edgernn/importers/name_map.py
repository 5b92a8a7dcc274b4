"""``--map FILE``: names of one's own, line by line or as JSON, to the names that a family expects.

    my.rnn.U{l} = rnn.weight_ih_l{l}        one line, or one entry of a JSON object
    decoder.*   = *                         the rest of the name stays

``{l}`` is a number, ``*`` anything; each may stand once on either side, and stands for the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from edgernn import storage
from edgernn.errors import DataError, UsageError
from edgernn.storage import strict_json
from edgernn.wording import did_you_mean, some

_MOST_BYTES = 1 << 20
_HOLES = {"{l}": ("l", r"(?P<l>\d+)"), "*": ("any", "(?P<any>.*)")}  # → its group, its pattern


def read_map(path: Path) -> dict[str, str]:
    """Return the rules of a file, in its order: a tensor's name there → the name that is expected.

    Raises:
        DataError: it cannot be read, or a line is no rule.
    """
    try:
        text = storage.read_bytes(path, most=_MOST_BYTES).decode("utf-8-sig")
        rules = _of_json(text) if text.lstrip()[:1] == "{" else _of_lines(text)
    except OSError as error:
        raise DataError(
            f"cannot read the map {path}: {storage.reason(error)}; give lines of THEIR.NAME = "
            "OUR.NAME, or a JSON object"
        ) from error
    except ValueError as error:
        raise DataError(
            f"{path} is no map of names ({error}); expected lines of THEIR.NAME = OUR.NAME, or a "
            "JSON object"
        ) from error
    if not rules:
        raise DataError(f"{path} has no names; expected lines of THEIR.NAME = OUR.NAME")
    return rules


def renamed(names: Iterable[str], rules: Mapping[str, str]) -> dict[str, str]:
    """Return those of ``names`` that a rule renames → the new one; the first rule that fits counts.

    Raises:
        UsageError: a rule fits no name, or two tensors would have one name.
    """
    known, made = list(names), dict[str, str]()
    held = frozenset(known)
    for old, new in rules.items():
        hits = _hits(old, new, held)
        if not hits:
            raise UsageError(
                f"the map renames {old!r}, and no tensor is called so; there are {some(known)}"
                f"{did_you_mean(old, known)}"
            )
        for name, filled in hits:
            made.setdefault(name, filled)
    counts = Counter(made.get(name, name) for name in known)
    twice = next((name for name, count in counts.items() if count > 1), None) if made else None
    if twice is not None:
        raise UsageError(f"the map gives the name {twice!r} to more than one tensor; give each one")
    return made


def _hits(old: str, new: str, names: frozenset[str]) -> list[tuple[str, str]]:
    """Return the names that a rule fits, each with its new one; one without holes is looked up."""
    parts = _parts(old)
    if len(parts) == 1:
        return [(old, new)] if old in names else []
    pattern = re.compile(
        "".join(_HOLES[part][1] if part in _HOLES else re.escape(part) for part in parts)
    )
    found = ((name, pattern.fullmatch(name)) for name in names)
    return [(name, _filled(new, hit)) for name, hit in found if hit]


def _parts(text: str) -> list[str]:
    return re.split(r"(\{l\}|\*)", text)


def _filled(new: str, hit: re.Match[str]) -> str:
    return "".join(hit[_HOLES[part][0]] if part in _HOLES else part for part in _parts(new))


def _of_json(text: str) -> dict[str, str]:
    found = strict_json.parse_object(text)
    for old, new in found.items():
        _check(old, new)
    return found


def _of_lines(text: str) -> dict[str, str]:
    rules: dict[str, str] = {}
    for at, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        old, equals, new = (part.strip() for part in line.partition("="))
        if not equals or not old or not new:
            raise ValueError(f"line {at} is {line.strip()[:60]!r}")
        if old in rules:
            raise ValueError(f"line {at} renames {old!r} a second time")
        _check(old, new)
        rules[old] = new
    return rules


def _check(old: str, new: object) -> None:
    if not isinstance(new, str) or not new:
        raise ValueError(f"{old!r} goes to {new!r}, which is no name")
    for hole in _HOLES:
        if old.count(hole) > 1 or new.count(hole) > old.count(hole):
            raise ValueError(f"{old} = {new} has {hole} on the right without one on the left")
