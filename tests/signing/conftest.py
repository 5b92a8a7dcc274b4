"""Keys and certificates, made for a test, and bundles that are signed with them."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgernn.bundle import pack
from edgernn.signing import sign_bundle

PEM = serialization.Encoding.PEM
Key = ec.EllipticCurvePrivateKey


def write_key(path: Path, *, curve: ec.EllipticCurve | None = None, password: bytes = b"") -> Key:
    """Write a new pair as PATH.key and PATH.pub."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    how = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    kind = serialization.PrivateFormat.PKCS8
    path.with_suffix(".key").write_bytes(key.private_bytes(PEM, kind, how))
    public = key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    path.with_suffix(".pub").write_bytes(public)
    return key


def write_certificate(
    path: Path, key: Key, name: str, *, issuer: str, signs: Key, days: tuple[int, int] = (-2, 30),
    authority: bool = False, usage: bool = True,
) -> None:  # fmt: skip
    """Write PATH.pem: ``name``'s certificate of ``key``, signed by ``issuer`` with ``signs``."""
    now = datetime.datetime.now(datetime.timezone.utc)
    first, last = (now + datetime.timedelta(days=day) for day in days)
    named = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)]) for who in (name, issuer)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(named[0])
        .issuer_name(named[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    if authority:
        bits = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        builder = builder.add_extension(
            x509.KeyUsage(key_cert_sign=True, crl_sign=True, **bits), critical=True
        )
    elif usage:
        signing = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
        mail = x509.SubjectAlternativeName([x509.RFC822Name(f"{name.lower()}@example.org")])
        builder = builder.add_extension(signing, critical=False).add_extension(mail, critical=False)
    made = builder.sign(signs, hashes.SHA256())
    path.with_suffix(".pem").write_bytes(made.public_bytes(PEM))


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: pairs of keys ``ann`` and ``bob``; authorities ``root`` and ``elsewhere``, and
    ``works`` between ``root`` and Ann; her certificates ``ann``, ``near`` (of ``root`` itself),
    ``old`` (expired) and ``mute`` (not for signing), and Bob's of ``elsewhere``.
    """
    place = tmp_path_factory.mktemp("keys")
    ann, bob, root, works, elsewhere = (
        write_key(place / name) for name in ("ann", "bob", "root", "works", "elsewhere")
    )
    for name, key in (("root", root), ("elsewhere", elsewhere)):
        write_certificate(place / name, key, name, issuer=name, signs=key, authority=True)
    write_certificate(place / "works", works, "works", issuer="root", signs=root, authority=True)
    write_certificate(place / "ann", ann, "Ann", issuer="works", signs=works)
    write_certificate(place / "old", ann, "Ann", issuer="works", signs=works, days=(-1, -0))
    write_certificate(place / "mute", ann, "Ann", issuer="works", signs=works, usage=False)
    write_certificate(place / "near", ann, "Ann", issuer="root", signs=root)
    write_certificate(place / "bob", bob, "Bob", issuer="elsewhere", signs=elsewhere)
    return place


@pytest.fixture
def make_key() -> Callable[..., Key]:
    """Return ``write_key``."""
    return write_key


@pytest.fixture(params=["folder", "packed"])
def bundle_path(request: pytest.FixtureRequest, bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle that may be changed: a folder, and one file."""
    if request.param == "folder":
        return Path(shutil.copytree(bundle_folder, tmp_path / "tiny"))
    pack(bundle_folder, tmp_path / "tiny.edgernn")
    return tmp_path / "tiny.edgernn"


@pytest.fixture
def signed(bundle_path: Path, keys: Path) -> Path:
    """The same, signed by Ann's key."""
    sign_bundle(bundle_path, key=keys / "ann.key")
    return bundle_path


@pytest.fixture
def certified(bundle_path: Path, keys: Path) -> Path:
    """The same, signed by Ann's certificate."""
    sign_bundle(
        bundle_path,
        key=keys / "ann.key",
        certificate=keys / "ann.pem",
        chain=[keys / "works.pem"],
    )
    return bundle_path


@pytest.fixture
def change(tmp_path: Path) -> Callable[[Path, Callable[[Path], object]], None]:
    """Return what changes a bundle as a person would who unzips it, and zips it again."""

    def changed(bundle: Path, how: Callable[[Path], object]) -> None:
        if bundle.is_dir():
            how(bundle)
            return
        folder = tmp_path / "unzipped"
        shutil.unpack_archive(bundle, folder, "zip")
        how(folder)
        made = shutil.make_archive(str(tmp_path / "again"), "zip", folder)
        Path(made).replace(bundle)

    return changed
