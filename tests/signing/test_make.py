"""Signing: what is written, what is left as it was, and keys that cannot sign."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edgernn.bundle import Bundle, pack
from edgernn.errors import UsageError
from edgernn.signing import check_signature, sign_bundle

MakeKey = Callable[..., object]


def test_a_file_keeps_all_that_it_held(bundle_folder: Path, keys: Path, tmp_path: Path) -> None:
    pack(bundle_folder, tmp_path / "b.edgernn")
    before = zipfile.ZipFile(tmp_path / "b.edgernn")
    held = {name: before.read(name) for name in before.namelist()}
    before.close()
    for _ in range(2):  # a second one replaces the first
        sign_bundle(tmp_path / "b.edgernn", key=keys / "ann.key")
    with zipfile.ZipFile(tmp_path / "b.edgernn") as after:
        now = {name: after.read(name) for name in after.namelist()}
    payload = now.pop("model.sig")
    listed = {name: content for name, content in held.items() if not name.startswith("report.")}
    assert now == listed
    assert tmp_path.name.encode() not in payload


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_every_curve_that_is_offered(
    curve: ec.EllipticCurve, bundle_folder: Path, tmp_path: Path, make_key: MakeKey
) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "b"))
    make_key(tmp_path / "k", curve=curve)
    sign_bundle(folder, key=tmp_path / "k.key")
    assert check_signature(Bundle.open(folder), tmp_path / "k.pub")


def test_an_encrypted_key_needs_its_password(
    bundle_folder: Path, tmp_path: Path, make_key: MakeKey
) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "b"))
    make_key(tmp_path / "k", password=b"a secret of ours")
    for password in (None, b"another"):
        with pytest.raises(UsageError) as raised:
            sign_bundle(folder, key=tmp_path / "k.key", password=password)
        assert "secret" not in str(raised.value)
    assert not (folder / "model.sig").exists()
    sign_bundle(folder, key=tmp_path / "k.key", password=b"a secret of ours")
    assert check_signature(Bundle.open(folder), tmp_path / "k.pub")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"key": "ann.pub"}, "holds public key, expected a private key"),
        ({"key": "absent"}, "cannot read"),
        ({"key": "ann.key", "certificate": "bob.pem"}, "is the certificate of another key than"),
        ({"key": "ann.key", "certificate": "old.pem"}, "is valid from 20.*and today is"),
        ({"key": "ann.key", "certificate": "mute.pem"}, "neither the key usage digitalSignature"),
        ({"key": "ann.key", "certificate": "ann.key"}, "expected certificates alone"),
        ({"key": "ann.key", "chain": "works.pem"}, "--chain goes on from a certificate"),
        (
            {"key": "ann.key", "certificate": "ann.pem", "chain": "root.pem"},
            r"ann.pem was issued by CN=works, whose certificate is not in .*root.pem; give it",
        ),
        ({"key": "k1.key"}, r"on the curve secp256k1, expected one on P-256, P-384, P-521"),
    ],
)
def test_what_cannot_sign_is_told(
    options: dict[str, str], told: str, bundle_path: Path, keys: Path, make_key: MakeKey
) -> None:
    make_key(keys / "k1", curve=ec.SECP256K1())
    given = {name: keys / file for name, file in options.items()}
    chain = [given.pop("chain")] if "chain" in given else []
    before = bundle_path.read_bytes() if bundle_path.is_file() else None
    with pytest.raises(UsageError, match=told) as raised:
        sign_bundle(bundle_path, **given, chain=chain)
    assert "\n" not in str(raised.value)
    if before is None:
        assert not (bundle_path / "model.sig").exists()
    else:
        assert bundle_path.read_bytes() == before


def test_what_the_manifest_does_not_list_is_not_signed(
    bundle_folder: Path, keys: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "b"))
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes.txt is not in the manifest"):
        sign_bundle(folder, key=keys / "ann.key")
    (folder / "notes.txt").unlink()
    sign_bundle(folder, key=keys / "ann.key")
    assert json.loads((folder / "model.sig").read_text())["dsseEnvelope"]
