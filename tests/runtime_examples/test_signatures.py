"""What the page says of signatures, run as it stands: the tools of others take ours, and refuse
what was changed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edgernn.bundle import pack
from edgernn.signing import sign_bundle

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "runtime_examples/README.md").read_text(encoding="utf-8")
SIGNING = (ROOT / "edgernn/signing/README.md").read_text(encoding="utf-8")
KEYS = """
openssl ecparam -name prime256v1 -genkey -noout -out ann.key
openssl ec -in ann.key -pubout -out ann.pub
openssl ecparam -name prime256v1 -genkey -noout -out root.key
openssl req -x509 -new -key root.key -subj /CN=Root -days 30 -out root.pem
openssl ecparam -name prime256v1 -genkey -noout -out works.key
openssl req -new -key works.key -subj /CN=Works -out works.csr
printf 'basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign\\n' > works.ext
openssl x509 -req -in works.csr -CA root.pem -CAkey root.key -extfile works.ext -out works.pem
openssl req -new -key ann.key -subj /CN=Ann -out ann.csr
printf 'keyUsage=digitalSignature\\nsubjectAltName=email:ann@example.org\\n' > ann.ext
openssl x509 -req -in ann.csr -CA works.pem -CAkey works.key -days 30 -extfile ann.ext -out ann.pem
cp ann.pub signer.pub
"""


def blocks(page: str, title: str) -> list[str]:
    part = re.split(r"^#+ ", page, flags=re.MULTILINE)
    (text,) = (text for text in part if text.startswith(f"{title}\n"))
    return re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


TOOL, BY_HAND, CERTIFICATE = blocks(PAGE, "Who made it")
BY_KEY, BY_CERTIFICATE = TOOL.splitlines()[1], TOOL.splitlines()[2]


def run(script: str, place: Path) -> subprocess.CompletedProcess[str]:
    commands = f'exec "{sys.executable}" -m '
    names = {"edgernn": "edgernn", "model_signing": "model_signing", "pip": "true"}
    (place / "bin").mkdir(exist_ok=True)
    for name, module in names.items():
        file = place / "bin" / name
        file.write_text(f'#!/bin/sh\n{"exit 0" if name == "pip" else commands + module} "$@"\n')
        file.chmod(0o755)
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=place,
        env={**os.environ, "PATH": path, "BUNDLE": str(place / "tiny")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def place(bundle_folder: Path, tmp_path: Path) -> Path:
    """Keys and certificates made by openssl, and a bundle."""
    for tool in ("openssl", "jq", "sha256sum", "base64"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool}")
    shutil.copytree(bundle_folder, tmp_path / "tiny")
    done = run(KEYS, tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.mark.parametrize("script", [BY_KEY, BY_HAND], ids=["model_signing", "openssl"])
def test_a_key_is_checked_without_edgernn(script: str, place: Path) -> None:
    sign_bundle(place / "tiny", key=place / "ann.key")
    done = run(script, place)
    assert done.returncode == 0, done.stderr
    with (place / "tiny/golden.safetensors").open("ab") as file:
        file.write(b"x")
    assert run(script, place).returncode != 0


def test_another_key_is_refused_by_hand(place: Path) -> None:
    sign_bundle(place / "tiny", key=place / "root.key")
    done = run(BY_HAND, place)
    assert done.returncode != 0
    assert "Verification failure" in done.stdout + done.stderr


def test_a_certificate_is_checked_without_edgernn(place: Path) -> None:
    sign_bundle(
        place / "tiny", key=place / "ann.key", certificate=place / "ann.pem",
        chain=[place / "works.pem"],
    )  # fmt: skip
    (place / "signer.pub").unlink()
    done = run(BY_CERTIFICATE, place)
    assert done.returncode == 0, done.stderr
    done = run(f"{CERTIFICATE}\n{BY_HAND}", place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CN = Ann" in done.stdout or "CN=Ann" in done.stdout
    made = x509.load_pem_x509_certificate((place / "ann.pem").read_bytes())
    held = serialization.load_pem_public_key((place / "signer.pub").read_bytes())
    assert held == made.public_key()
    shutil.copy(place / "works.pem", place / "root.pem")  # no authority that this place trusts
    assert run(CERTIFICATE, place).returncode != 0
    assert run(BY_CERTIFICATE, place).returncode != 0


def test_a_packed_bundle_is_checked_unzipped(place: Path) -> None:
    pack(place / "tiny", place / "tiny.edgernn")
    sign_bundle(place / "tiny.edgernn", key=place / "ann.key")
    shutil.rmtree(place / "tiny")
    shutil.unpack_archive(place / "tiny.edgernn", place / "tiny", "zip")
    assert run(BY_KEY, place).returncode == 0
    assert run(BY_HAND, place).returncode == 0


def test_the_page_on_signing_runs_as_written(place: Path) -> None:
    pack(place / "tiny", place / "docs.edgernn")
    (first,) = blocks(SIGNING, "Who made a bundle")
    (second,) = blocks(SIGNING, "With certificates")
    short = re.sub(r"(edgernn verify .*)", r"\1 --to onnx --steps 8", f"{first}\n{second}")
    done = run(short, place)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^signed docs.edgernn by the key SHA256:[0-9a-f]{64}$", done.stdout, re.M)
    assert "signed by CN=Ann, by a certificate valid to " in done.stdout
