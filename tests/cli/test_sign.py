"""``edgernn sign`` and ``verify --signed-by``: one line each, and their exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.bundle.signature import is_signed

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bundle(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle to sign, and keys beside it, made as the manual says."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make keys")
    for name in ("signer", "other"):
        for command in (
            f"openssl ecparam -name prime256v1 -genkey -noout -out {name}.key",
            f"openssl ec -in {name}.key -pubout -out {name}.pub",
        ):
            subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    return Path(shutil.copytree(bundle_folder, tmp_path / "tiny"))


def test_without_the_package_one_line_names_the_extra(
    bundle: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "model_signing", None)
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    for module in ("check", "make", "pem"):
        monkeypatch.delitem(__import__("sys").modules, f"edgernn.signing.{module}", raising=False)
    for command in (
        ("sign", bundle, "--key", "signer.key"),
        ("verify", bundle, "--signed-by", "signer.pub"),
    ):
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "which is not installed; run: " in err
        assert "[sign]" in err
    assert not is_signed(bundle)


def test_who_signed_is_verified_and_told(bundle: Path, run: Run) -> None:
    pytest.importorskip("model_signing")
    code, out, err = run("sign", bundle, "--key", "signer.key")
    assert (code, err) == (0, "")
    assert out.startswith(f"signed {bundle} by the key SHA256:")
    assert "\nsigned; edgernn verify --signed-by FILE tells" in run("inspect", bundle)[1]
    asked = ("verify", bundle, "--to", "onnx", "--steps", 16, "--json", "r.json")
    code, out, _ = run(*asked, "--signed-by", "signer.pub")
    assert code == 0
    assert "\nsigned by the key SHA256:" in out
    assert json.loads(Path("r.json").read_text())["signed_by"].startswith("the key SHA256:")
    assert "Signed by" in (bundle / "report.html").read_text()
    code, out, err = run(*asked, "--signed-by", "other.pub")
    assert (code, out) == (1, "")
    assert "it was signed with another key, not the key SHA256:" in err
    assert run(*asked, "--signed-by", "other.key")[0] == 2
    assert run(*asked, "--signer", "Ann")[0] == 2
    assert "replaced an older signature" in run("sign", bundle, "--key", "other.key")[2]
    assert run(*asked, "--signed-by", "other.pub")[0] == 0


def test_an_unsigned_bundle_is_refused_before_anything_runs(bundle: Path, run: Run) -> None:
    pytest.importorskip("model_signing")
    code, out, err = run("verify", bundle, "--signed-by", "signer.pub")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "is not signed: it has no model.sig" in err


def test_a_password_comes_from_the_environment(
    bundle: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("model_signing")
    lock = "openssl pkcs8 -topk8 -in signer.key -out locked.key -passout pass:ours"
    subprocess.run(lock.split(), cwd=bundle.parent, check=True)
    code, out, err = run("sign", bundle, "--key", "locked.key")
    assert (code, out) == (2, "")
    assert "it is encrypted; EDGERNN_KEY_PASSWORD holds the password" in err
    monkeypatch.setenv("EDGERNN_KEY_PASSWORD", "ours")
    assert run("sign", bundle, "--key", "locked.key")[0] == 0


def test_a_new_export_says_that_the_signature_is_gone(
    checkpoint_folder: Path, run: Run, tmp_path: Path
) -> None:
    for out in ("b", "b.edgernn"):
        wanted = ("export", checkpoint_folder, "--out", out, "--to", "onnx")
        assert run(*wanted)[0] == 0
        place = tmp_path / out
        if place.is_dir():
            (place / "model.sig").write_text("{}")
        else:
            import zipfile

            with zipfile.ZipFile(place, "a") as archive:
                archive.writestr("model.sig", "{}")
        assert is_signed(place)
        code, _, err = run(*wanted)
        assert code == 0
        assert "was signed, and this one is not; sign it again" in err
        assert not is_signed(place)
