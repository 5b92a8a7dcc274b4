"""What a row of ``families.py`` returns: figures, each with what it must reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        what: in words.
        found: its value, a share.
        least, most: what it must reach, or must not exceed; None where it is reported alone.
    """

    what: str
    found: float
    least: float | None = None
    most: float | None = None

    @property
    def reached(self) -> bool:
        """Whether it is within what it must be."""
        above = self.least is None or self.found >= self.least
        return above and (self.most is None or self.found <= self.most)

    @property
    def wanted(self) -> str:
        """What it must be, in words."""
        if self.least is not None:
            return f"≥ {self.least:.0%}"
        return "reported" if self.most is None else f"≤ {self.most:.0%}"
