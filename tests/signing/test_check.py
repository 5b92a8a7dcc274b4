"""A signature is taken of the bundle that was signed, by whom it is asked for, and of no other."""

from __future__ import annotations

import base64
import datetime
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from model_signing import hashing, signing

from edgernn.bundle import Bundle, pack
from edgernn.bundle.signature import listed_files
from edgernn.errors import BundleError, CheckFailedError, EdgernnError, UsageError
from edgernn.signing import check as checking
from edgernn.signing import check_signature, sign_bundle

Change = Callable[[Path, Callable[[Path], object]], None]


def check(path: Path, signed_by: Path, signer: str | None = None) -> str:
    with Bundle.open(path) as bundle:
        return check_signature(bundle, signed_by, signer=signer).words


def test_a_key_vouches_for_every_file(signed: Path, keys: Path) -> None:
    assert check(signed, keys / "ann.pub").startswith("the key SHA256:")


def test_a_chain_vouches_and_tells_who(certified: Path, keys: Path) -> None:
    told = check(certified, keys / "root.pem")
    assert told.startswith("CN=Ann, by a certificate valid to 20")
    assert check(certified, keys / "root.pem", "Ann") == told
    assert check(certified, keys / "root.pem", "ann@example.org") == told
    with pytest.raises(CheckFailedError, match=r"signed by Ann, ann@example.org, expected 'Bob'"):
        check(certified, keys / "root.pem", "Bob")


def test_a_certificate_of_the_authority_itself_needs_no_chain(
    bundle_path: Path, keys: Path
) -> None:
    sign_bundle(bundle_path, key=keys / "ann.key", certificate=keys / "near.pem")
    assert check(bundle_path, keys / "root.pem", "Ann")


def test_a_bundle_without_one_is_refused(bundle_path: Path, keys: Path) -> None:
    with pytest.raises(CheckFailedError, match=r"is not signed: it has no model.sig"):
        check(bundle_path, keys / "ann.pub")


def write(name: str, text: str) -> Callable[[Path], object]:
    def how(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    return how


def edit_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["provenance"]["training"]["corpus"] = "another"
    path.write_text(json.dumps(content))


def drop_artifact(folder: Path) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    gone = content["artifacts"].pop()["path"]
    path.write_text(json.dumps(content))
    shutil.rmtree(folder / gone) if (folder / gone).is_dir() else (folder / gone).unlink()


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (edit_manifest, "manifest.json is not as it was signed"),
        (drop_artifact, "manifest.json is not as it was signed"),
        (write("more.txt", "x"), "more.txt was added"),
        (write("more/more.txt", "x"), "more/more.txt was added"),
        (lambda folder: (folder / "model.sig").unlink(), "is not signed"),
        (write("model.sig", ""), "model.sig is damaged"),
        (write("model.sig", "[]"), "model.sig is damaged"),
        (write("model.sig", '{"verificationMaterial": {}}'), "neither a key nor a certificate"),
    ],
)
def test_what_was_tampered_with_is_refused(
    how: Callable[[Path], object], told: str, signed: Path, keys: Path, change: Change
) -> None:
    change(signed, how)
    with pytest.raises(CheckFailedError, match=told):
        check(signed, keys / "ann.pub")


@pytest.mark.parametrize(
    "how",
    [
        write("golden.safetensors", "x"),
        lambda folder: (folder / "golden.safetensors").unlink(),
        write("onnx/more.onnx", "x"),
    ],
)
def test_digests_refuse_first_what_they_cover(
    how: Callable[[Path], object], signed: Path, keys: Path, change: Change
) -> None:
    change(signed, how)
    with pytest.raises((BundleError, CheckFailedError)):
        check(signed, keys / "ann.pub")


def test_the_key_of_another_is_refused(signed: Path, certified: Path, keys: Path) -> None:
    with pytest.raises(CheckFailedError, match=r"with a certificate, and .*bob.pub holds a key"):
        check(certified, keys / "bob.pub")
    sign_bundle(signed, key=keys / "ann.key")
    with pytest.raises(CheckFailedError, match="with another key, not the key SHA256:"):
        check(signed, keys / "bob.pub")
    with pytest.raises(CheckFailedError, match=r"with a key, and .*root.pem holds a certificate"):
        check(signed, keys / "root.pem")


def test_a_signature_under_the_name_of_another_key_is_refused(
    signed: Path, keys: Path, change: Change
) -> None:
    """The hint in a signature is no proof: Bob's, under the hint of Ann's key."""
    hint: list[object] = []

    def take(folder: Path) -> None:
        hint.append(json.loads((folder / "model.sig").read_text())["verificationMaterial"])

    def put(folder: Path) -> None:
        content = json.loads((folder / "model.sig").read_text())
        content["verificationMaterial"] = hint[0]
        (folder / "model.sig").write_text(json.dumps(content))

    change(signed, take)
    sign_bundle(signed, key=keys / "bob.key")
    change(signed, put)
    with pytest.raises(CheckFailedError, match=r"not by the key SHA256:.*, or was changed"):
        check(signed, keys / "ann.pub")


def test_the_signature_of_another_bundle_is_refused(
    signed: Path, keys: Path, captioner_bundle_folder: Path, tmp_path: Path, change: Change
) -> None:
    other = Path(shutil.copytree(captioner_bundle_folder, tmp_path / "other"))
    sign_bundle(other, key=keys / "ann.key")
    change(signed, lambda folder: shutil.copy(other / "model.sig", folder / "model.sig"))
    with pytest.raises(CheckFailedError, match="is not as it was signed"):
        check(signed, keys / "ann.pub")


def test_one_signature_holds_for_the_folder_and_the_file(
    bundle_folder: Path, keys: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "tiny"))
    sign_bundle(folder, key=keys / "ann.key")
    (folder / "report.json").write_text("{}")  # as verify writes it
    (folder / "README.md").write_text("# a card")
    (folder / ".DS_Store").write_text("x")
    pack(folder, tmp_path / "b.edgernn")
    for path in (folder, tmp_path / "b.edgernn"):
        assert check(path, keys / "ann.pub")


@pytest.mark.parametrize(
    ("authority", "told"),
    [
        ("elsewhere.pem", r"is not vouched for by .*elsewhere.pem; no certificates in .*--chain"),
        ("works.pem", "is not vouched for by"),
    ],
)
def test_an_authority_that_is_not_trusted_is_refused(
    authority: str, told: str, certified: Path, keys: Path
) -> None:
    with pytest.raises(CheckFailedError, match=told):
        check(certified, keys / authority)


def test_a_certificate_that_has_expired_since_is_refused(
    certified: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """model-signing looks at the signing certificate's first day, and would take it for ever."""
    store = checking.crypto.X509Store

    class Later(store):
        def add_cert(self, cert: object) -> None:
            super().add_cert(cert)
            now = datetime.datetime.now(datetime.timezone.utc)
            self.set_time(now + datetime.timedelta(days=31))

    assert check(certified, keys / "root.pem")
    with Bundle.open(certified) as bundle:
        monkeypatch.setattr(checking.crypto, "X509Store", Later)
        with pytest.raises(CheckFailedError, match=r"not valid today \(certificate has expired\)"):
            checking._refuse_expired(
                bundle, (bundle.folder / "model.sig").read_bytes(), keys / "root.pem"
            )


def test_a_signature_that_leaves_a_file_out_is_refused(
    bundle_folder: Path, keys: Path, tmp_path: Path
) -> None:
    """Made by model-signing itself, of all but the model: right in its own eyes."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "tiny"))
    made = folder / "model.sig"
    signer = signing.Config().use_elliptic_key_signer(private_key=keys / "ann.key")
    for left in (["model.sig", "onnx"], ["model.sig"]):
        config = hashing.Config().use_file_serialization().set_ignored_paths(paths=left)
        signer.set_hashing_config(config).sign(folder, made)
        if "onnx" in left:
            with pytest.raises(CheckFailedError, match=r"onnx/step.onnx is not covered"):
                check(folder, keys / "ann.pub")
        else:
            assert check(folder, keys / "ann.pub")


def test_a_link_is_not_taken_for_the_file(bundle_folder: Path, keys: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "tiny"))
    sign_bundle(folder, key=keys / "ann.key")
    (folder / "kept").mkdir()
    (folder / "golden.safetensors").rename(folder / "kept" / "golden.safetensors")
    (folder / "golden.safetensors").symlink_to("kept/golden.safetensors")
    with pytest.raises(CheckFailedError):
        check(folder, keys / "ann.pub")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no PEM file"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "is damaged"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is damaged"),
        (b"-----BEGIN DH PARAMETERS-----\n", "holds dh parameters, expected one public key"),
    ],
)
def test_what_is_no_key_is_misuse(
    content: bytes, told: str, signed: Path, keys: Path, tmp_path: Path
) -> None:
    (tmp_path / "given").write_bytes(content)
    with pytest.raises(UsageError, match=told):
        check(signed, tmp_path / "given")
    with pytest.raises(UsageError, match="cannot read"):
        check(signed, tmp_path / "absent")
    with pytest.raises(UsageError, match="holds a private key, expected the public one"):
        check(signed, keys / "ann.key")
    with pytest.raises(UsageError, match="--signer 'Ann' is a name in a certificate"):
        check(signed, keys / "ann.pub", "Ann")


def test_no_damage_to_a_signature_is_a_fault_of_ours(
    bundle_folder: Path, keys: Path, tmp_path: Path
) -> None:
    """Every value of a signature by another of every kind; refused, or no difference at all."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "tiny"))
    for certificate in (None, keys / "ann.pem"):
        chain = [keys / "works.pem"] if certificate else []
        sign_bundle(folder, key=keys / "ann.key", certificate=certificate, chain=chain)
        trusted = keys / ("root.pem" if certificate else "ann.pub")
        content = json.loads((folder / "model.sig").read_text())
        bundle = Bundle.open(folder)
        for damaged in _damaged(content):
            (folder / "model.sig").write_text(json.dumps(damaged))
            try:
                assert check_signature(bundle, trusted)
            except EdgernnError as error:
                assert "\n" not in str(error)


def _damaged(content: object) -> list[object]:
    """Return copies of JSON, each with one value replaced or left out."""
    others: list[object] = [None, 7, "", "x", [], {}, base64.b64encode(b"{}").decode()]
    if isinstance(content, dict):
        made: list[object] = []
        for name, value in content.items():
            made += [{**content, name: other} for other in [*others, *_damaged(value)]]
            made.append({key: kept for key, kept in content.items() if key != name})
        return made
    if isinstance(content, list):
        return [[other, *content[1:]] for other in (_damaged(content[0]) if content else [])]
    return []


def test_what_a_signature_covers_is_every_listed_file(bundle_folder: Path) -> None:
    bundle = Bundle.open(bundle_folder)
    covered = listed_files(bundle)
    files = {
        path.relative_to(bundle_folder).as_posix()
        for path in bundle_folder.rglob("*")
        if path.is_file()
    }
    assert set(covered) == files - {"report.json", "report.html"}
