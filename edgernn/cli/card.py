"""``edgernn card``: a model card for the bundle, as model hubs show it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgernn import storage
from edgernn.cli.output import stream, tell


def card(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a folder or a .edgernn file.")],
    out: Annotated[
        Path | None, typer.Option(help="Write it to this file, as README.md; default stdout.")
    ] = None,
    license_id: Annotated[
        str | None, typer.Option("--license", help="The license, as apache-2.0; left open without.")
    ] = None,
) -> None:
    """Print a model card in Markdown: what it is, files, measured figures, how to run it in each
    language, how to check it.
    """
    from edgernn.bundle import Bundle
    from edgernn.cli.card_text import model_card

    with Bundle.open(bundle) as opened:
        text = model_card(
            opened.manifest,
            storage.as_utf8(bundle.resolve().name),
            license_id=license_id,
            packed=bundle.is_file(),
        )
    if out is None:
        stream(text)
    else:
        storage.write_text(out, text)
        tell(f"wrote {out}")
