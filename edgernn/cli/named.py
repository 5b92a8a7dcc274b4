"""Options by the names that a person types: what Python calls ``top_k`` is ``--top-k`` there.

A message of the library names an argument, as its caller in Python knows it; here it gets the name
of the option that gave it. And an option whose one value holds several, by name, is refused where
it stands twice; of any other the last one counts, as in other programs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from edgernn.errors import UsageError

_VALUE = r"""(?=['"\d\[({+-]|None|True|False|nan|inf)"""
_ARGUMENT = re.compile(rf"(?:the )?([a-z][a-z0-9_ -]*?) is {_VALUE}")


def by_option(told: str, options: Collection[str]) -> str:
    """Return a message that begins with an argument and its value with the option in its place.

    Args:
        told: as ``top_k is -1, expected …``.
        options: of the command that runs, as ``--top-k``.
    """
    if (found := _ARGUMENT.match(told)) is None:
        return told
    option = "--" + re.sub("[_ ]", "-", found[1])
    return f"{option}{told[found.end(1) :]}" if option in options else told


def options_of(command: Any, typed: Sequence[str]) -> set[str]:
    """Return the options of the command within ``command`` that a line names.

    Args:
        command: of all of them.
        typed: the line's words.
    """
    found, _ = _named(command, typed)
    return {name for option in found.params for name in option.opts}


def refuse_twice(command: Any, typed: Sequence[str]) -> None:
    """Raise UsageError where a line gives an option twice that takes its values in one, as
    ``--axis source=24,time=8``: the parser would take the last and say nothing of the first. See
    ``options_of`` for the arguments.
    """
    found, rest = _named(command, typed)
    try:
        parser = found.make_parser(found.context_class(found, resilient_parsing=True))
        _, _, given = parser.parse_args(args=list(rest))
    except Exception:  # noqa: BLE001 - the parser itself tells what is wrong with a line
        return
    taken = Counter(option.name for option in given)
    for option in given:
        joined = "=" in (option.metavar or "") and not option.multiple
        if joined and taken[option.name] > 1:
            raise UsageError(
                f"{option.opts[0]} is given {taken[option.name]} times, expected once; several "
                "values stand in one, with commas"
            )


def _named(command: Any, typed: Sequence[str]) -> tuple[Any, Sequence[str]]:
    """Return the command that the first words of a line name, and the words after it."""
    for at, word in enumerate(typed):
        inner = getattr(command, "commands", {})
        if word not in inner:
            return command, typed[at:]
        command = inner[word]
    return command, ()
