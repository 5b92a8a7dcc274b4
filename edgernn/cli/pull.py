"""``edgernn pull``: a bundle of a model hub or a folder, checked before it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgernn.cli.choices import SignedByOption, SignerOption
from edgernn.cli.output import say, say_json, tell
from edgernn.wording import counted, size


def pull(
    source: Annotated[str, typer.Argument(help="OWNER/NAME on the hub, or a bundle as ./NAME.")],
    out: Annotated[Path, typer.Option(help="A folder, or a file ending in .edgernn.")],
    revision: Annotated[
        str | None, typer.Option(help="A commit, branch or tag; default the end of main.")
    ] = None,
    signed_by: SignedByOption = None,
    signer: SignerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Download a bundle from a model hub: what its manifest lists, each file with its digest. What
    stands at --out is replaced once the new one is whole and checked.
    """
    from edgernn.hub.pull import pull as fetch
    from edgernn.hub.target import target_of

    pulled = fetch(
        target_of(source), out, revision=revision, signed_by=signed_by, signer=signer, tell=tell
    )
    words = pulled.signer.words if pulled.signer else ""
    if as_json:
        say_json({**pulled.__dict__, "signer": words, "source": source, "out": str(out)})
        return
    files = counted(pulled.files, "file")
    say(f"pulled {files}, {size(pulled.total_bytes)}, to {out}; every digest is right")
    if words:
        say(f"signed by {words}")
    if pulled.revision:
        say(f"revision {pulled.revision}; to have this one again: --revision {pulled.revision}")
