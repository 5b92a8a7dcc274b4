"""Keys and certificates, read from PEM files and told in words. Owns the package cryptography.

Signatures are made with elliptic curves that model-signing takes: P-256, P-384 and P-521.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgernn import storage
from edgernn.errors import UsageError
from edgernn.signing import Signer
from edgernn.wording import argument

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_MOST_BYTES = 1 << 20
_LABEL = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_NEW_KEY = "openssl ecparam -name prime256v1 -genkey -noout -out new.key"


def labels_of(path: Path) -> tuple[bytes, list[str]]:
    """Return the bytes of a PEM file, and what its blocks are called.

    Raises:
        UsageError: it cannot be read, or holds no such block.
    """
    try:
        content = storage.read_bytes(path, most=_MOST_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {storage.reason(error)}; give a PEM file") from error
    labels = [label.decode() for label in _LABEL.findall(content)]
    if not labels:
        raise UsageError(f"{path} is no PEM file (no line -----BEGIN …); give a key or certificate")
    return content, labels


def private_key(path: Path, password: bytes | None) -> ec.EllipticCurvePrivateKey:
    """Read a private key.

    Raises:
        UsageError: it is another kind of file or key, or the password is wrong or missing.
    """
    content, labels = labels_of(path)
    if not any("PRIVATE KEY" in label for label in labels):
        raise UsageError(
            f"{path} holds {_told(labels)}, expected a private key; make one with: {_NEW_KEY}"
        )
    try:
        key = serialization.load_pem_private_key(content, password)
    except TypeError as error:  # a password that is missing, or one too many
        said = "it is not encrypted, and a password was given" if password else "it is encrypted"
        raise UsageError(
            f"{path}: {said}; EDGERNN_KEY_PASSWORD holds the password of a key that is"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        wrong = "the password is wrong, or " if password else ""
        raise UsageError(f"{path}: {wrong}the key is damaged or of a kind unknown here") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise UsageError(_wrong_kind(path, key, f"make one with: {_NEW_KEY}"))
    return key


def is_encrypted(path: Path) -> bool:
    """Return whether the private key in ``path`` needs a password; raise UsageError where it is no
    PEM file.
    """
    content, labels = labels_of(path)
    return "ENCRYPTED PRIVATE KEY" in labels or b"Proc-Type: 4,ENCRYPTED" in content


def public_key(path: Path, content: bytes) -> ec.EllipticCurvePublicKey:
    """Read a public key from the ``content`` of ``path``; raise UsageError where it is no such."""
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path}: the public key is damaged or of a kind unknown here") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise UsageError(_wrong_kind(path, key, "ask the signer for it"))
    return key


def certificates(paths: Sequence[Path]) -> list[x509.Certificate]:
    """Read all certificates of PEM files; raise UsageError where one holds anything else."""
    found = []
    for path in paths:
        content, labels = labels_of(path)
        if set(labels) != {"CERTIFICATE"}:
            raise UsageError(f"{path} holds {_told(labels)}, expected certificates alone")
        try:
            found += x509.load_pem_x509_certificates(content)
        except ValueError as error:
            raise UsageError(f"{path}: a certificate is damaged; ask its maker again") from error
    return found


def holder(key: Any) -> Signer:
    """Return the signer who holds the public ``key``."""
    fingerprint = hashlib.sha256(
        key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    ).hexdigest()
    return Signer(f"the key SHA256:{fingerprint}", fingerprint)


def subject(certificate: x509.Certificate) -> Signer:
    """Return the signer whom ``certificate`` names."""
    text = told(certificate.subject)
    until = certificate.not_valid_after_utc.date().isoformat()
    return Signer(
        f"{text}, by a certificate valid to {until}",
        holder(certificate.public_key()).fingerprint,
        tuple(_names(certificate)),
    )


def told(name: x509.Name) -> str:
    """Return whom a certificate names, for a person."""
    return name.rfc4514_string() or "a certificate without a subject"


def is_issuer(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Return whether ``certificate`` was issued with the key of ``authority``, under its name."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def may_sign(certificate: x509.Certificate) -> bool:
    """Return whether model-signing takes signatures by ``certificate``: by its key usage, or by
    its extended one.
    """
    for kind in (x509.KeyUsage, x509.ExtendedKeyUsage):
        try:
            usage: Any = certificate.extensions.get_extension_for_class(kind).value
        except (x509.ExtensionNotFound, ValueError):
            continue
        if isinstance(usage, x509.KeyUsage) and usage.digital_signature:
            return True
        if isinstance(usage, x509.ExtendedKeyUsage):
            return ExtendedKeyUsageOID.CODE_SIGNING in usage
    return False


def today() -> datetime.datetime:
    """Return the moment now, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def _names(certificate: x509.Certificate) -> list[str]:
    """Return the subject's common names and the alternative names that are text."""
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = [str(name.value) for name in common]
    try:
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return names
    return names + [str(other.value) for other in others if isinstance(other.value, str)]


def _wrong_kind(path: Path, key: object, remedy: str) -> str:
    """Say what kind ``key`` is, and which is expected."""
    curve = getattr(getattr(key, "curve", None), "name", None)
    named = re.sub(r"(?i)_?(private|public)key$", "", type(key).__name__).strip("_")
    kind = f"on the curve {curve}" if curve else f"of the kind {named}"
    return (
        f"{path}: the key is {kind}, expected one on {', '.join(CURVES.values())}, which "
        f"model-signing takes; {remedy}"
    )


def _told(labels: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(label.lower() for label in labels))


def public_command(key: Path) -> str:
    """Return the command that takes the public key out of a private one."""
    return f"openssl ec -in {argument(key)} -pubout -out signer.pub"
