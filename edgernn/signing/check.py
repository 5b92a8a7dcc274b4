"""Whether a bundle's signature is right: by model-signing, and then what that leaves open.

model-signing checks that the signature is by the key, and that the files beside it are those that
were signed. What it does not ask is asked here:

- that every file of the bundle was signed: a signature says itself which paths it leaves out;
- that nothing else lies in the bundle, also in a packed one, of which unlisted files are never
  unpacked;
- that the certificates are valid today: model-signing takes the first day of the signing one.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from model_signing import hashing, verifying
from OpenSSL import crypto

from edgernn import storage
from edgernn.bundle import Bundle
from edgernn.bundle.manifest import SIGNATURE
from edgernn.bundle.manifest_file import MANIFEST_MAX_BYTES
from edgernn.bundle.signature import beside, listed_files, side_files, strays
from edgernn.errors import CheckFailedError, UsageError
from edgernn.signing import Signer
from edgernn.signing.pem import certificates, holder, labels_of, public_command, public_key, subject
from edgernn.wording import argument

_KEY, _CERTIFICATES = "publicKey", "x509CertificateChain"
_WORDS = {_KEY: "a key", _CERTIFICATES: "a certificate", "certificate": "Sigstore's service"}
# whatever a damaged signature makes the parsers of three packages raise
_DAMAGED = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    RecursionError,
    OSError,
    x509.InvalidVersion,
)


def check(bundle: Bundle, signed_by: Path, *, signer: str | None = None) -> Signer:
    """Return who signed ``bundle``; see ``signing.check_signature``."""
    content, kind = _trusted(signed_by)
    if kind == _KEY and signer is not None:
        raise UsageError(
            f"--signer {signer!r} is a name in a certificate, and {signed_by} holds a key; leave "
            "it out, or give certificates"
        )
    key = public_key(signed_by, content) if kind == _KEY else None
    covered = listed_files(bundle)
    if added := strays(bundle, covered):
        raise CheckFailedError(
            f"{bundle.source}: {added[0]} was added: no manifest lists it and no signature covers "
            "it; remove it, or do not use this bundle"
        )
    raw = _read(bundle)
    _refuse_other_kind(bundle, _material(bundle, raw), kind, signed_by)
    who = _leaf(bundle, raw) if key is None else holder(key)
    _verify(bundle, raw, signed_by, kind, who)
    _refuse_uncovered(bundle, raw, covered)
    if kind == _CERTIFICATES:
        _refuse_expired(bundle, raw, signed_by)
        _refuse_other_name(bundle, who, signer)
    return who


def _trusted(path: Path) -> tuple[bytes, str]:
    """Return the content of ``--signed-by`` and which of the two kinds it is."""
    content, labels = labels_of(path)
    if any("PRIVATE KEY" in label for label in labels):
        raise UsageError(
            f"{path} holds a private key, expected the public one of who signed; take it out with: "
            f"{public_command(path)}"
        )
    if set(labels) == {"CERTIFICATE"}:
        certificates([path])  # a damaged one is told here
        return content, _CERTIFICATES
    if labels == ["PUBLIC KEY"]:
        return content, _KEY
    raise UsageError(
        f"{path} holds {', '.join(labels).lower()}, expected one public key, or certificates alone"
    )


def _read(bundle: Bundle) -> bytes:
    path = bundle.folder / SIGNATURE
    if not path.exists():
        raise CheckFailedError(
            f"{bundle.source} is not signed: it has no {SIGNATURE}; ask its maker for a signed "
            f"one, or sign it: edgernn sign {argument(bundle.source)} --key KEY"
        )
    if not path.resolve().is_relative_to(bundle.folder.resolve()):
        raise _refused(bundle, f"{SIGNATURE} leads out of the bundle's folder")
    try:
        return storage.read_bytes(path, most=MANIFEST_MAX_BYTES)
    except OSError as error:
        raise _refused(bundle, f"{SIGNATURE} cannot be read ({storage.reason(error)})") from error


def _refused(bundle: Bundle, why: str) -> CheckFailedError:
    return CheckFailedError(f"{bundle.source}: {why}; do not use this bundle")


def _material(bundle: Bundle, raw: bytes) -> dict[str, Any]:
    """Return what a signature says of how it is to be verified."""
    try:
        found = json.loads(raw)["verificationMaterial"]
    except _DAMAGED as error:
        raise _refused(bundle, f"{SIGNATURE} is damaged, or no signature") from error
    if not isinstance(found, dict):
        raise _refused(bundle, f"{SIGNATURE} is damaged, or no signature")
    return found


def _refuse_other_kind(
    bundle: Bundle, material: dict[str, Any], kind: str, signed_by: Path
) -> None:
    made = next((name for name in _WORDS if material.get(name)), None)
    if made is None:
        raise _refused(bundle, f"{SIGNATURE} names neither a key nor a certificate")
    if made != kind:
        raise CheckFailedError(
            f"{bundle.source} was signed with {_WORDS[made]}, and {signed_by} holds "
            f"{_WORDS[kind]}; give what belongs to that signature, or do not use this bundle"
        )


def _chain(raw: bytes) -> list[x509.Certificate]:
    """Return the certificates in a signature, the signing one first."""
    rows = json.loads(raw)["verificationMaterial"][_CERTIFICATES]["certificates"]
    return [x509.load_der_x509_certificate(base64.b64decode(row["rawBytes"])) for row in rows]


def _leaf(bundle: Bundle, raw: bytes) -> Signer:
    try:
        return subject(_chain(raw)[0])
    except _DAMAGED as error:
        raise _refused(bundle, f"{SIGNATURE} is damaged: its certificate is none") from error


def _verify(bundle: Bundle, raw: bytes, signed_by: Path, kind: str, who: Signer) -> None:
    """Let model-signing compare key, signature and files."""
    left = [*beside(bundle), *side_files(bundle.folder)]
    config = verifying.Config().set_hashing_config(
        hashing.Config().use_file_serialization().set_ignored_paths(paths=left)
    )
    if kind == _KEY:
        config.use_elliptic_key_verifier(public_key=signed_by)
    else:
        config.use_certificate_verifier(certificate_chain=[signed_by])
    with storage.scratch() as scratch, _quiet():
        copy = scratch / SIGNATURE  # what is verified is what was read
        copy.write_bytes(raw)
        try:
            config.verify(bundle.folder, copy)
        except crypto.X509StoreContextError as error:
            missing = "; no certificates in the signature lead there, which sign --chain takes"
            why = missing if "issuer certificate" in str(error) else f" ({error})"
            raise _refused(
                bundle, f"{who.words}, is not vouched for by {signed_by}{why}"
            ) from error
        except InvalidSignature as error:
            raise _refused(
                bundle, f"the signature is not by {who.words}, or was changed"
            ) from error
        except _DAMAGED as error:
            raise _refused(bundle, _why(error, bundle, raw, who)) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep model-signing from printing and logging: what it finds is told as an error."""
    log = logging.getLogger("model_signing")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(None), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own logging
            yield
    finally:
        log.setLevel(before)


def _why(error: Exception, bundle: Bundle, raw: bytes, who: Signer) -> str:
    """Say what model-signing found, in words of a bundle."""
    if str(error).startswith("Signature mismatch"):  # so the signature itself is right
        return _difference(_signed(raw), listed_files(bundle))
    if str(error).startswith("Key mismatch"):
        return f"it was signed with another key, not {who.words}"
    if "symlink" in str(error):
        return "a file is a link, and links cannot be signed"
    return f"{SIGNATURE} is damaged, or no signature by {who.words}"


def _signed(raw: bytes) -> dict[str, str]:
    """Return the SHA-256 of each file that a verified signature covers."""
    payload = json.loads(base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"]))
    return {
        row["name"]: row["digest"] if row["algorithm"] == "sha256" else ""
        for row in payload["predicate"]["resources"]
    }


def _refuse_uncovered(bundle: Bundle, raw: bytes, covered: dict[str, str]) -> None:
    """Raise CheckFailedError where a verified signature leaves out a file of the bundle."""
    try:
        signed = _signed(raw)
    except _DAMAGED as error:
        raise _refused(bundle, f"{SIGNATURE} does not say which files it covers") from error
    if signed != covered:
        raise _refused(bundle, _difference(signed, covered))


def _difference(signed: dict[str, str], found: dict[str, str]) -> str:
    """Say what is first among the differences of the files that were signed and those found."""
    name = next((name for name in found if signed.get(name) != found[name]), None)
    if name is None:
        name = next((name for name in signed if name not in found), "a file")
        return f"{name} was signed and is no file of the bundle"
    said = "is not as it was signed" if name in signed else "is not covered by the signature"
    return f"{name} {said}"


def _refuse_expired(bundle: Bundle, raw: bytes, signed_by: Path) -> None:
    """Raise CheckFailedError where the chain of certificates is not valid today."""
    store = crypto.X509Store()
    for trusted in certificates([signed_by]):
        store.add_cert(crypto.X509.from_cryptography(trusted))
    leaf, *others = (crypto.X509.from_cryptography(found) for found in _chain(raw))
    try:
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        raise CheckFailedError(
            f"{bundle.source}: the signer's certificates are not valid today ({error}); have the "
            "bundle signed again"
        ) from error


def _refuse_other_name(bundle: Bundle, who: Signer, expected: str | None) -> None:
    if expected is not None and expected not in who.names:
        raise _refused(
            bundle, f"it was signed by {', '.join(who.names) or who.words}, expected {expected!r}"
        )
