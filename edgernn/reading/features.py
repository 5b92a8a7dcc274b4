"""What a cell may follow: the table of features. A new one is a function of the text and a row.

A feature has a value after each character of a text, which says something of all that came before
it and nothing of what comes (Karpathy, Johnson & Li 2015, "Visualizing and understanding recurrent
networks", section 4.2, found cells for each of these in networks that read programs and prose).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgernn.reading.scanning import scan

Feature = Callable[[str], np.ndarray]  # N characters to float32 [N]


def quotation(text: str) -> np.ndarray:
    """1 inside a quotation, 0 outside."""
    return scan(text).quoted


def line_position(text: str) -> np.ndarray:
    """Characters since the last newline; 0 at one."""
    places, newlines = np.arange(len(text)), _newlines(text)
    return (places - np.maximum.accumulate(np.where(newlines, places, -1))).astype(np.float32)


def brackets(text: str) -> np.ndarray:
    """How many brackets are open."""
    return scan(text).depth


def indentation(text: str) -> np.ndarray:
    """Spaces at the start of the line, as many as came so far."""
    found, spaces, leading = np.zeros(len(text), np.float32), 0, True
    for place, character in enumerate(text):
        if character == "\n":
            spaces, leading = 0, True
        elif leading and character == " ":
            spaces += 1
        else:
            leading = False
        found[place] = spaces
    return found


def condition(text: str) -> np.ndarray:
    """1 from ``if``, ``elif`` or ``while`` at the start of a line to its colon, 0 elsewhere."""
    return scan(text).condition


def comment(text: str) -> np.ndarray:
    """1 from ``#`` to the end of the line, 0 elsewhere."""
    return scan(text).comment


def _newlines(text: str) -> np.ndarray:
    return np.fromiter((character == "\n" for character in text), bool, len(text))


FEATURES: dict[str, Feature] = {
    "inside a quotation": quotation,
    "position in the line": line_position,
    "depth of brackets": brackets,
    "depth of indentation": indentation,
    "inside a condition": condition,
    "inside a comment": comment,
}
