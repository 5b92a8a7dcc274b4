"""The one door to the terminal: results to stdout, progress to stderr, and text is text.

Whatever comes from files, models and users goes through here. Nothing in it is read as markup, and
characters that steer a terminal, or reorder what stands on it, are written as escapes: ``\\x1b``.
Only ``stream`` lets generated text through unchanged, and only where no terminal reads it. JSON is
ASCII, so that every encoding takes it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgernn import storage
from edgernn.cli.sheets import NATURAL_WIDTH, Sheet, records, table_of
from edgernn.cli.shown import TextConsole, joined, styled, visible, visible_text

_NOT_ASCII = re.compile("[^\x00-\x7e]")
_RULE = 80


def progress_console() -> Console:
    """Return the console for progress: stderr."""
    return TextConsole(stderr=True, highlight=False, soft_wrap=True)


def result_console() -> Console:
    """Return the console for results: stdout, as wide as needed where it is no terminal."""
    console = TextConsole(highlight=False)
    return console if console.is_terminal else TextConsole(highlight=False, width=NATURAL_WIDTH)


def say(line: Text | str = "") -> None:
    """Print a line of a result."""
    result_console().print(line, soft_wrap=True)


def say_indented(line: Text | str, indent: int) -> None:
    """Print a line of a result so far in, wrapped where it is longer than a terminal is wide."""
    console = result_console()
    if console.is_terminal:
        console.print(Padding(line, (0, 0, 0, indent)))
    else:
        say(joined(" " * indent, line))


def say_rule(title: str) -> None:
    """Print a heading with a line through it."""
    line = "─" if (sys.stdout.encoding or "ascii").lower().startswith("utf") else "-"
    width = min(_RULE, result_console().width)
    left = f"{line * 3} {visible(title)} "
    say(styled(left + line * max(3, width - len(left)), "bold"))


def say_sheet(sheet: Sheet) -> None:
    """Print a table, or a record for each of its rows where the terminal is too narrow for it."""
    console = result_console()
    table = table_of(sheet)
    if not console.is_terminal:
        _print_bare(console, table)
    elif (
        sheet.wrapped
        or console.measure(table, options=console.options.update(width=NATURAL_WIDTH)).maximum
        <= console.width
    ):
        console.print(table)
    else:
        for line in records(sheet):
            console.print(line)


def _print_bare(console: Console, table: Table) -> None:
    """Print a table without the spaces that fill its last column."""
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def tell(line: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(visible(line) + "\n")
    sys.stderr.flush()


def tell_error(text: str) -> None:
    """Print what went wrong as one line on stderr."""
    tell(f"edgernn: error: {' '.join(text.split())}")


def stream(piece: str) -> None:
    """Write a piece of generated text at once: as it is, or on a terminal with control characters
    visible.
    """
    sys.stdout.write(visible_text(piece) if sys.stdout.isatty() else piece)
    sys.stdout.flush()


def say_json(value: Mapping[str, Any], *, indent: int | None = 2) -> None:
    """Print a value as JSON in ASCII."""
    _write(json.dumps(value, indent=indent) + "\n")


def ascii_json(text: str) -> str:
    """Return the same JSON in ASCII: outside of strings it has nothing else."""
    return _NOT_ASCII.sub(
        lambda found: json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f", text
    )


def words(text: str | None) -> list[str] | None:
    """Split ``a,b`` into its words; None stays None."""
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def write_result(target: str, text: str) -> None:
    """Write a result to the file ``target``, or to stdout for ``-``: JSON, XML and HTML in ASCII,
    which every encoding has.
    """
    if target == "-":
        _write(
            ascii_json(text)
            if text.startswith(("{", "["))
            else text.encode("ascii", "xmlcharrefreplace").decode()
        )
    else:
        storage.write_text(Path(target), text)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
