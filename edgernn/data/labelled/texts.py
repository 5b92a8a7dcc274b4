"""A text with its label."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelledText:
    """A text with its label.

    Attributes:
        text: as it stands.
        label: the name of its class.
        place: where it comes from, for messages; empty where nobody asks.
    """

    text: str
    label: str
    place: str = ""
