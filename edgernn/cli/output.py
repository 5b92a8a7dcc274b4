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


def write_result(target: str, text: str) -> None:
    """Write a result, as JSON, XML or HTML, to the file ``target``, or to stdout for ``-``."""
    if target == "-":
        typer.echo(text, nl=False)
    else:
        storage.write_text(Path(target), text)
