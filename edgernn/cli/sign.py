"""``edgernn sign``: a signature of a bundle, by a key or a certificate."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from edgernn.cli.output import say, tell

PASSWORD = "EDGERNN_KEY_PASSWORD"


def sign(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a folder or a .edgernn file.")],
    key: Annotated[Path, typer.Option(help="Your private key, a PEM file; P-256, P-384, P-521.")],
    certificate: Annotated[
        Path | None, typer.Option(help="The key's certificate; without it the key alone signs.")
    ] = None,
    chain: Annotated[
        list[Path] | None,
        typer.Option(help="Certificates from its issuer on, a PEM file; again for more files."),
    ] = None,
) -> None:
    """Sign a bundle: every file in it, so that verify --signed-by can tell whose it is. An
    encrypted key's password is asked for, or read from EDGERNN_KEY_PASSWORD.
    """
    from edgernn.bundle.signature import is_signed
    from edgernn.signing import sign_bundle

    before = is_signed(bundle)
    password = _password(key)
    who = sign_bundle(
        bundle, key=key, certificate=certificate, chain=chain or (), password=password
    )
    if before:
        tell("replaced an older signature")
    say(f"signed {bundle} by {who.words}")


def _password(key: Path) -> bytes | None:
    """Return the password of an encrypted key; None of one that is not, or where nobody is there
    to ask.
    """
    from edgernn.formats import resolve

    encrypted = resolve("edgernn.signing.pem:is_encrypted", needed_for="signing", extra="sign")
    if not encrypted(key):
        return None
    if (said := os.environ.get(PASSWORD)) is not None:
        return said.encode()
    if not sys.stdin.isatty():
        return None
    asked: str = typer.prompt(f"password of {key}", hide_input=True, err=True)
    return asked.encode()
