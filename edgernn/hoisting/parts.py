"""The inputs that one text says: ``x: float32[batch, time, 40], h: float32[1, batch, 8]``."""

from __future__ import annotations


def parts_of(text: str) -> list[str]:
    """Split ``text`` at commas and semicolons outside of brackets; return what stands between."""
    found: list[str] = []
    depth, start = 0, 0
    for place, letter in enumerate(text + ","):
        depth += (letter == "[") - (letter == "]")
        if letter in ",;" and depth == 0:
            part, start = text[start:place].strip(), place + 1
            found += [part] if part else []
    return found
