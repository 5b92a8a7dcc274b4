"""Where an imported model came from, as ``inspect`` and ``card`` tell it.

These are notes that nothing vouches for, so what is no text is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgernn.data.text.token_kinds import unit_of

_MOST = 50  # notes; a bundle may hold any number


def origin_lines(training: Mapping[str, Any]) -> list[str]:
    """Return a line on where the model came from, one on what was checked, and the notes; nothing
    of a model that edgernn trained.
    """
    origin = training.get("imported")
    if not isinstance(origin, dict):
        return []

    def text(name: str) -> str:
        return found if isinstance(found := origin.get(name), str) else "?"

    lines = [f"imported from {text('file')} ({text('container')}): {text('about')}"]
    lines += [f"checked when it was imported: {text('checked')}"] if "checked" in origin else []
    notes = origin.get("told")
    notes = [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
    return lines + [f"note: {note}" for note in notes[:_MOST]]


def loss_unit(training: Mapping[str, Any], tokens: str) -> str:
    """Return what the loss that ``training`` tells is of: an example of it where it says so, else a
    token of the kind ``tokens``.
    """
    unit = training.get("unit")
    return unit if isinstance(unit, str) else unit_of(tokens)
