"""``edgernn push``: a bundle and its card, to a model hub or a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgernn import storage
from edgernn.cli.choices import SignedByOption, SignerOption
from edgernn.cli.output import say, say_json, say_sheet, tell
from edgernn.cli.sheets import Sheet
from edgernn.errors import UsageError
from edgernn.wording import counted, size


def push(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a folder or a .edgernn file.")],
    target: Annotated[str, typer.Argument(help="OWNER/NAME on the hub, or a folder as ./NAME.")],
    license_id: Annotated[
        str | None, typer.Option("--license", help="What the card says, as apache-2.0.")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; tell what would be.")
    ] = False,
    signed_by: SignedByOption = None,
    signer: SignerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Upload a bundle to a model hub, its card as README.md. The token is read from HF_TOKEN, or
    is the one that hf auth login stored; HF_ENDPOINT names another hub.
    """
    from edgernn.bundle import Bundle
    from edgernn.cli.card_text import model_card
    from edgernn.hub.push import push as write
    from edgernn.hub.target import Repository, target_of
    from edgernn.signing import check_signature

    place = target_of(target)
    if signer is not None and signed_by is None:
        raise UsageError("--signer names who signed; give whom you trust with --signed-by")
    with Bundle.open(bundle) as opened:
        if signed_by is not None:
            check_signature(opened, signed_by, signer=signer)
        name = place.name.rsplit("/", 1)[-1] if isinstance(place, Repository) else place.name
        card = model_card(opened.manifest, storage.as_utf8(name), license_id=license_id)
        plan = write(opened, place, card=card, private=private, dry_run=dry_run, tell=tell)
    if as_json:
        say_json({**plan.__dict__, "added": dict(plan.added), "dry_run": dry_run})
        return
    if dry_run:
        rows = [(path, size(count)) for path, count in plan.added.items()]
        say_sheet(Sheet(("file", "size"), [*rows, *((path, "goes") for path in plan.removed)]))
    verb = "would push" if dry_run else "pushed"
    instead = " in place of the bundle there" if plan.replaces else ""
    files = counted(len(plan.added), "file")
    say(f"{verb} {files}, {size(plan.total_bytes)}, to {plan.place}{instead}")
    if plan.revision:
        say(f"revision {plan.revision}")
