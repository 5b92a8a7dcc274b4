"""``edgernn cells``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn.cli.output import say, say_json, say_sheet, tell
from edgernn.cli.sheets import Sheet
from edgernn.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgernn.reading.ranking import Ranking


def cells(
    model: Annotated[Path, typer.Argument(help="A bundle, or the folder of a run.")],
    text: Annotated[
        Path | None,
        typer.Option(help="The text to read, - for standard input; default the held-out one."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the page here.")] = None,
    top: Annotated[int, typer.Option(min=1, max=50, help="Cells of each feature.")] = 5,
    tokens: Annotated[int, typer.Option(min=200, max=20_000, help="Tokens to read.")] = 20_000,
    artifact: Annotated[
        str | None, typer.Option(help="A path or format in the bundle; default ONNX.")
    ] = None,
    on_unknown: Annotated[
        str, typer.Option(help="A character the model lacks: error or skip.")
    ] = "error",
    as_json: Annotated[bool, typer.Option("--json", help="Print the ranking as JSON.")] = False,
) -> None:
    """Rank the cells of a language model by what they follow in a text, and write a page that
    colours the text by any of them.
    """
    from edgernn import storage
    from edgernn.cli.reader import opened
    from edgernn.reading.following import follow, groups_of
    from edgernn.reading.page import shown_tokens, to_html
    from edgernn.reading.ranking import rank

    if out is not None and out.suffix.lower() not in {".html", ".htm"}:
        raise UsageError(f"--out is {out}, expected a name that ends in .html")
    with opened(model, artifact) as reader:
        groups_of(reader.session.contract)  # what takes more than a text has no text to read either
        source, content = ("the held-out text", reader.held_out()) if text is None else _read(text)
        found = follow(
            reader.session,
            reader.tokenizer,
            content,
            on_unknown=on_unknown,  # type: ignore[arg-type]  # the tokenizer refuses what is neither
            most=tokens,
        )
    rankings, read = rank(found, top=top), f"{len(found.pieces):,} tokens of {source}"
    if found.left > 0:
        tell(f"read {read}; {found.left:,} characters after them were not")
    if out is not None:
        shown = shown_tokens(found)
        about = f"{read} read, tokens {shown.start:,} to {shown.stop - 1:,} shown."
        storage.write_text(out, to_html(found, rankings, title=model.name, about=about))
    if as_json:
        cells_in_all = found.values.shape[1]
        say_json(
            {
                "read": len(found.pieces),
                "source": source,
                "cells": cells_in_all,
                "features": [ranking.as_data() for ranking in rankings],
            }
        )
        return
    say(f"{found.values.shape[1]:,} cells over {read}")
    say_sheet(_sheet(rankings))
    if out is not None:
        say(f"page: {out}, {out.stat().st_size / 1e6:.1f} MB")


def _read(path: Path) -> tuple[str, str]:
    """Return what a text is called, and the text."""
    from edgernn.data.text.source import STANDARD_INPUT, open_source

    if path.is_dir():
        raise DataError(f"{path} is a folder, expected a text file")
    if str(path) == STANDARD_INPUT and sys.stdin.isatty():
        tell("reading the text from the terminal; end it with Ctrl-D")
    with open_source(str(path)) as source:
        return source.name, "".join(source.chunks())


def _sheet(rankings: Sequence[Ranking]) -> Sheet:
    rows = []
    for ranking in rankings:
        if ranking.lacking:
            rows.append((ranking.feature, "-", "-", "-", ranking.lacking))
            continue
        others = ", ".join(f"{cell.cell} {cell.score:.2f}" for cell in ranking.cells)
        found = "yes" if ranking.found else "no"
        best = f"{ranking.cells[0].score:.2f}"
        rows.append((ranking.feature, found, best, f"{ranking.floor:.2f}", others))
    headings = ("feature", "found", "score", "floor", "cells, the best first")
    return Sheet(headings, rows, right=frozenset({"score", "floor"}), wrapped=True)
