"""What a value of JSON may be. A shape is a function of a value and of where it stands; it raises
``BundleError`` where the value is not so.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable
from typing import Any

from errors import BundleError

Shape = Callable[[Any, str], None]  # a value and where it stands


def expect(holds: bool, path: str, value: Any, wanted: str) -> None:
    """Raise ``BundleError`` where something does not hold of the value at a path."""
    if not holds:
        raise BundleError(f"{path.lstrip('.') or 'it'} is {shown(value)}, expected {wanted}")


def shown(value: Any) -> str:
    """Return the beginning of a value, as ASCII."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def text(pattern: str = "", wanted: str = "text") -> Shape:
    """A text that fits a pattern."""
    found = re.compile(pattern, re.DOTALL)
    return lambda value, path: expect(
        isinstance(value, str) and bool(found.match(value)), path, value, wanted
    )


def whole(least: int = 0, most: int = (1 << 53) - 1) -> Shape:
    """A whole number."""
    wanted = f"a whole number from {least} to {most}"
    return lambda value, path: expect(
        type(value) is int and least <= value <= most, path, value, wanted
    )


def number(least: float, most: float = math.inf) -> Shape:
    """A finite number."""
    wanted = f"a number from {least:g} to {most:g}"

    def shape(value: Any, path: str) -> None:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        expect(good and least <= value <= most and value < math.inf, path, value, wanted)

    return shape


def one_of(*values: Any) -> Shape:
    """One of a few values."""

    def shape(value: Any, path: str) -> None:
        good = any(type(value) is type(each) and value == each for each in values)
        expect(good, path, value, f"one of {', '.join(map(str, values))}")

    return shape


def list_of(item: Shape) -> Shape:
    """A list."""

    def shape(value: Any, path: str) -> None:
        expect(isinstance(value, list), path, value, "a list")
        for index, each in enumerate(value):
            item(each, f"{path}[{index}]")

    return shape


def table(key: Shape, item: Shape) -> Shape:
    """An object with keys of the file's own."""

    def shape(value: Any, path: str) -> None:
        expect(isinstance(value, dict), path, value, "an object")
        for name, each in value.items():
            key(name, f"a key of {path.lstrip('.')}")
            item(each, f"{path}.{shown(name)}")

    return shape


def fields(
    required: dict[str, Shape], optional: dict[str, tuple[Shape, Any]] | None = None
) -> Shape:
    """An object; what is optional comes with its default, which is filled in where it is absent."""

    def shape(value: Any, path: str) -> None:
        expect(isinstance(value, dict), path, value, "an object")
        for name, item in required.items():
            expect(name in value, f"{path}.{name}", None, "a value")
            item(value[name], f"{path}.{name}")
        for name, (item, default) in (optional or {}).items():
            if value.get(name) is None:
                value[name] = copy.deepcopy(default)
            else:
                item(value[name], f"{path}.{name}")

    return shape


def inner_path(value: Any, path: str) -> None:
    """A path that stays in the bundle, on every system."""
    good = isinstance(value, str) and value.isprintable() and not re.search(r"[\\:]", value)
    good = good and all(part not in {"", ".", ".."} for part in value.split("/"))
    expect(good, path, value, "a path inside the bundle")
