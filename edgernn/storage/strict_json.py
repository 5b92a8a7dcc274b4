"""JSON as strangers write it, read strictly: what two readers could take for two different things
is refused.

The json module lets the last of two equal keys win, reads ``1e400`` as infinity, and takes ``NaN``,
lone surrogates and integers of thousands of digits. None of that means the same in every language
that reads the same file.
"""

from __future__ import annotations

import json
import math
from typing import Any

MOST_DEPTH = 64  # levels of lists and objects; ours have fewer than 10
_MOST_INTEGER = 1 << 64  # below it in size: no reader of another language holds more
_SHOWN = 40  # characters of a key or a number


def parse(text: str | bytes, *, allow_nan: bool = False) -> Any:
    """Return what the JSON ``text`` says.

    Args:
        text: UTF-8 where it is bytes; a byte order mark is refused.
        allow_nan: let ``NaN``, ``Infinity`` and ``-Infinity`` through, which are no JSON; for files
            of edgernn's own.

    Raises:
        ValueError: says in one line what is wrong with it.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"it is not UTF-8 text (byte {error.start})") from error
    try:
        found = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=float if allow_nan else _refuse_constant,
        )
    except RecursionError as error:
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep") from error
    _check(found)
    return found


def parse_object(text: str | bytes, *, allow_nan: bool = False) -> dict[str, Any]:
    """Return what the JSON object ``text`` says; as ``parse``, and ValueError where it is no
    object.
    """
    found = parse(text, allow_nan=allow_nan)
    if not isinstance(found, dict):
        raise ValueError(f"it is {_NAMES.get(type(found), 'a number')}, expected an object")
    return found


_NAMES = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {_shown(twice)} stands twice in one object")
    return made


def _integer(digits: str) -> int:
    if len(digits) > 21 or abs(int(digits)) >= _MOST_INTEGER:
        raise ValueError(f"the integer {digits[:_SHOWN]} has more than 64 bits")
    return int(digits)


def _number(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise ValueError(f"the number {digits[:_SHOWN]} is larger than any float64")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it has {name}, which is no JSON")


def _check(found: Any) -> None:
    """Raise ValueError where ``found`` is nested too deeply or a string of it is no Unicode
    text.
    """
    level, depth = [found], 0
    while level:
        depth += 1
        inner: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                for key in item:
                    _check_text(key)
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if depth > MOST_DEPTH and inner:
            raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
        level = inner


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the string {_shown(text)} has half of a surrogate pair, which is no character"
        ) from error


def _shown(text: str) -> str:
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return repr(cut) if cut.isprintable() else ascii(cut)
