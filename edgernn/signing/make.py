"""Signs a bundle by model-signing: every file that its manifest lists, and the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from model_signing import hashing, signing

from edgernn import storage
from edgernn.bundle import Bundle, pack
from edgernn.bundle.manifest import SIGNATURE
from edgernn.bundle.packed import unpack
from edgernn.bundle.signature import beside, listed_files, side_files, strays
from edgernn.errors import UsageError
from edgernn.signing import Signer, pem


def make(
    source: Path,
    *,
    key: Path,
    certificate: Path | None,
    chain: Sequence[Path],
    password: bytes | None,
) -> Signer:
    """Sign the bundle at ``source`` and return by whom; see ``signing.sign_bundle``."""
    config, who = _signer(key, certificate, chain, password)
    if source.is_dir():
        with Bundle.open(source) as bundle:
            storage.write_bytes(source / SIGNATURE, _signature(bundle, config))
        return who
    Bundle.open(source)  # what is no bundle is told in the words of that
    with storage.scratch() as scratch:
        folder = scratch / source.stem  # the signature tells this name
        unpack(source).rename(folder)
        with Bundle.open(folder) as bundle:
            (folder / SIGNATURE).write_bytes(_signature(bundle, config))
        pack(folder, source)
    return who


def _signer(
    key: Path, certificate: Path | None, chain: Sequence[Path], password: bytes | None
) -> tuple[signing.Config, Signer]:
    """Return what signs, and as whom."""
    private = pem.private_key(key, password)
    if certificate is None:
        if chain:
            raise UsageError("--chain goes on from a certificate; give that with --certificate")
        secret: Any = password  # as bytes, which cryptography takes, whatever the annotation says
        config = signing.Config().use_elliptic_key_signer(private_key=key, password=secret)
        return config, pem.holder(private.public_key())
    if password is not None:
        raise UsageError(
            f"{key} is encrypted, and model-signing takes no password together with a certificate; "
            "give a key that is not, from a place that only you can read"
        )
    leaf, *more = pem.certificates([certificate])
    above = pem.certificates(chain)
    if more:
        raise UsageError(
            f"{certificate} holds {1 + len(more)} certificates, expected the signing one alone; "
            "give the others with --chain"
        )
    if pem.subject(leaf).fingerprint != pem.holder(private.public_key()).fingerprint:
        raise UsageError(
            f"{certificate} is the certificate of another key than {key}; give its own"
        )
    _refuse_unfit(leaf, certificate)
    if above and not any(pem.is_issuer(one, leaf) for one in above):
        raise UsageError(
            f"{certificate} was issued by {pem.told(leaf.issuer)}, whose certificate is not in "
            f"{', '.join(map(str, chain))}; give it with --chain, and those from it on"
        )
    config = signing.Config().use_certificate_signer(
        private_key=key,
        signing_certificate=certificate,
        certificate_chain=chain or [certificate],  # it takes no empty one
    )
    return config, pem.subject(leaf)


def _refuse_unfit(certificate: x509.Certificate, path: Path) -> None:
    """Raise UsageError where whoever checks would refuse what this certificate signs."""
    today = pem.today()
    if not certificate.not_valid_before_utc <= today <= certificate.not_valid_after_utc:
        raise UsageError(
            f"{path} is valid from {certificate.not_valid_before_utc.date()} to "
            f"{certificate.not_valid_after_utc.date()}, and today is {today.date()}; get a new one"
        )
    if not pem.may_sign(certificate):
        raise UsageError(
            f"{path} has neither the key usage digitalSignature nor the extended one codeSigning; "
            "get a certificate for signing"
        )


def _signature(bundle: Bundle, config: signing.Config) -> bytes:
    """Return a signature of ``bundle``, which lies in a folder."""
    if added := strays(bundle, listed_files(bundle)):
        raise UsageError(
            f"{bundle.source}: {added[0]} is not in the manifest, and a signature covers what is; "
            "move it elsewhere"
        )
    left = [*beside(bundle), *side_files(bundle.folder)]
    config.set_hashing_config(
        hashing.Config().use_file_serialization().set_ignored_paths(paths=left)
    )
    with storage.scratch() as scratch:
        made = scratch / SIGNATURE
        try:
            config.sign(bundle.folder.resolve(), made)
        except ValueError as error:  # a link, or what is neither file nor folder
            raise UsageError(
                f"{bundle.source} cannot be signed: {error}; put a file in its place"
            ) from error
        return made.read_bytes()
