"""Signatures of bundles, by the OpenSSF's model-signing: made and checked offline, with a pair of
keys or with certificates. The package is loaded when one is made or checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgernn.bundle import Bundle
from edgernn.formats import resolve

__all__ = ["Signer", "check_signature", "sign_bundle"]
_EXTRA = "sign"


@dataclass(frozen=True)
class Signer:
    """Who signed a bundle.

    Attributes:
        words: for a person: a key's fingerprint, or a certificate's subject and its last day.
        fingerprint: SHA-256 of the public key's DER, hexadecimal.
        names: of the certificate: its subject's common name and its alternative names.
    """

    words: str
    fingerprint: str
    names: tuple[str, ...] = ()


def check_signature(bundle: Bundle, signed_by: Path, *, signer: str | None = None) -> Signer:
    """Check that whoever holds the key of ``signed_by`` signed every file of ``bundle``.

    Args:
        bundle: opened, its digests checked.
        signed_by: a PEM file with one public key, or with the certificates of the authorities that
            are trusted.
        signer: a name that the signer's certificate must have; with certificates alone.

    Raises:
        UsageError: ``signed_by`` holds neither, or ``signer`` is given with a key.
        CheckFailedError: there is no signature, or it is not that of this bundle by that signer.
        UnavailableError: model-signing is not installed.
    """
    check = _load("edgernn.signing.check:check", "checking a signature")
    found: Signer = check(bundle, signed_by, signer=signer)
    return found


def sign_bundle(
    source: Path,
    *,
    key: Path,
    certificate: Path | None = None,
    chain: Sequence[Path] = (),
    password: bytes | None = None,
) -> Signer:
    """Sign the bundle at ``source``, a folder or a ``.edgernn`` file; an older signature goes.

    Args:
        source: the bundle; nothing of it changes but its signature.
        key: a PEM file with a private key on the curve P-256, P-384 or P-521.
        certificate: of that key, as PEM; without it the signature is by the key alone.
        chain: PEM files with the certificates from that one's issuer on.
        password: of the key, where it is encrypted; not with a certificate.

    Raises:
        UsageError: a key or certificate that cannot be used, or files in the bundle's folder that
            its manifest does not list.
        BundleError: the bundle cannot be opened.
        StorageError: the signature could not be written; the bundle is as it was.
        UnavailableError: model-signing is not installed.
    """
    make = _load("edgernn.signing.make:make", "signing")
    made: Signer = make(source, key=key, certificate=certificate, chain=chain, password=password)
    return made


def _load(target: str, needed_for: str) -> Any:
    return resolve(target, needed_for=needed_for, extra=_EXTRA)
