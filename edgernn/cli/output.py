"""What commands share in printing: progress to stderr, results to stdout, lists given as ``a,b``."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from edgernn import storage


def progress_console() -> Console:
    """Return the console for progress: stderr."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def result_console() -> Console:
    """Return the console for results: stdout, unwrapped where it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def tell(line: str) -> None:
    """Print a line of progress."""
    typer.echo(line, err=True)


def words(text: str | None) -> list[str] | None:
    """Split ``a,b`` into its words; None stays None."""
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def write_json(target: str, text: str) -> None:
    """Write JSON to the file ``target``, or to stdout for ``-``."""
    if target == "-":
        typer.echo(text, nl=False)
    else:
        storage.write_text(Path(target), text)


def human_bytes(count: int) -> str:
    """Return a size for a person: ``3.5 MB`` (decimal units)."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
