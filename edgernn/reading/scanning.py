"""Where in a program quotations, comments, brackets, lines and conditions are: one pass over its
characters, without parsing, so that a text that breaks off or is wrong is read as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_PREFIX = re.compile(r"(?<!\w)(?:[rbfu]|rb|br|rf|fr)$", re.IGNORECASE)  # of a quotation
_CONDITION = re.compile(r"(?:if|elif|while)\b")


@dataclass(frozen=True)
class Scan:
    """What holds after each character, ``[N]`` each.

    Attributes:
        quoted: inside a quotation: from its opening mark to before its closing one.
        comment: from ``#`` to before the end of the line.
        depth: brackets that are open, outside of quotations and comments.
        condition: from ``if``, ``elif`` or ``while`` at the start of a line to its colon.
    """

    quoted: np.ndarray
    comment: np.ndarray
    depth: np.ndarray
    condition: np.ndarray


@lru_cache(maxsize=4)
def scan(text: str) -> Scan:
    """Read ``text`` once; a quotation in single marks ends with its line at the latest."""
    found = {name: np.zeros(len(text), np.float32) for name in Scan.__dataclass_fields__}
    reader = _Reader(text)
    for place in range(len(text)):
        reader.take(place)
        found["quoted"][place] = reader.mark is not None
        found["comment"][place] = reader.comment
        found["depth"][place] = reader.depth
        found["condition"][place] = reader.condition
    return Scan(**found)


class _Reader:
    """Where the pass stands after the last character taken."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.mark: str | None = None  # what ends the quotation that is open
        self.comment = self.condition = False
        self.depth = self._bottom = 0
        self._skipped = 0  # characters that belong to what came before: escaped, or of a mark
        self._blank = True  # nothing but spaces so far in this line

    def take(self, place: int) -> None:
        """Take the character at ``place``."""
        character = self._text[place]
        if self._skipped:
            self._skipped -= 1
        elif self.mark is not None:
            self._in_quotation(place, character)
        elif character == "\n":
            self.comment, self._blank = False, True
        elif not self.comment:
            self._in_code(place, character)

    def _in_quotation(self, place: int, character: str) -> None:
        assert self.mark is not None
        if character == "\\":
            self._skipped = 1
        elif self._text.startswith(self.mark, place):
            self._skipped, self.mark = len(self.mark) - 1, None
        elif character == "\n" and len(self.mark) == 1:
            self.mark, self._blank = None, True

    def _in_code(self, place: int, character: str) -> None:
        if character in "'\"" and self._opens(place):
            three = 3 * character
            self.mark = three if self._text.startswith(three, place) else character
            self._skipped = len(self.mark) - 1
        elif character == "#":
            self.comment = True
        elif character in "([{":
            self.depth += 1
        elif character in ")]}":
            self.depth = max(self.depth - 1, 0)
        elif character == ":" and self.condition and self.depth <= self._bottom:
            self.condition = False
        elif self._blank and _CONDITION.match(self._text, place):
            self.condition, self._bottom = True, self.depth
        self._blank = self._blank and character == " "

    def _opens(self, place: int) -> bool:
        """Whether a quotation opens here; an apostrophe within a word is none."""
        before = self._text[max(0, place - 3) : place]
        return not (before[-1:].isalnum() or before[-1:] == "_") or bool(_PREFIX.search(before))
