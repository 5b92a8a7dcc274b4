"""Whether two names say that one is the other after a step."""

from __future__ import annotations

import re
from collections.abc import Iterable

_IN_MARKS = ("in", "prev", "previous", "old", "input", "initial", "init", "0", "past", "cur", "x")
_OUT_MARKS = (
    *("out", "next", "new", "n", "output", "final", "updated", "present", "last", "o", "1", "t"),
)


def _stem(name: str, marks: Iterable[str]) -> str:
    """Return a name without what marks it as the one before or the one after."""
    parts = [part for part in re.split(r"[^a-z0-9]+", _spaced(name)) if part]
    kept = [part for part in parts if part not in marks]
    return "".join(kept or parts)


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def names_fit(name: str, output: str) -> bool:
    """Whether two names say that one is the other after a step: ``X`` and ``X_out``, ``state`` and
    ``stateN``, ``h`` and ``hn``.
    """
    before, after = _stem(name, _IN_MARKS), _stem(output, _OUT_MARKS)
    bare = {_stem(name, ()), before, re.sub(r"(x|0|in|_?prev)$", "", before)} - {""}
    return any(
        after in {stem, *(f"{stem}{mark}" for mark in _OUT_MARKS)}
        or re.sub(r"(_?out|_?next|_?new|n|t|1)$", "", after) == stem
        for stem in bare
    )
