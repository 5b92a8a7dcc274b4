"""What every picture of this folder begins and ends with: an empty figure, and the file of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from edgernn import storage
from edgernn.errors import UnavailableError, UsageError
from edgernn.formats.installed import install_command
from edgernn.wording import expected_one_of

_SUFFIXES = (".png", ".pdf", ".svg")


def check_available(path: Path | None = None) -> None:
    """For those who work long before they draw.

    Raises:
        UnavailableError: matplotlib is not installed.
        UsageError: the name of ``path`` ends in what is no kind of picture that can be drawn.
    """
    if path is not None:
        kind_of(path)
    figure(1, 1)


def kind_of(path: Path) -> str:
    """Return the kind of picture that a name asks for."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        shown = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise UsageError(f"the picture {path} {shown}; {expected_one_of(suffix, _SUFFIXES)}")
    return suffix[1:]


def figure(width: float, height: float) -> Any:
    """Return an empty figure of so many inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnavailableError(
            f"drawing needs matplotlib; run: {install_command('images')}"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def save(drawn: Any, path: Path) -> None:
    """Write the figure ``drawn`` as the kind of picture that the name of ``path`` asks for.

    Raises:
        StorageError: the file cannot be written.
        UsageError: the name asks for a kind that cannot be drawn.
    """
    kind = kind_of(path)
    with storage.replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing"
        )  # of a script that the font lacks: a box is drawn
        drawn.savefig(temporary, format=kind, dpi=120)
