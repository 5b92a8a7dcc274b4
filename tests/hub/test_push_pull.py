"""Push and pull against a hub on this machine: what it then holds, and what comes back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgernn.bundle import Bundle, pack
from edgernn.bundle.signature import listed_files
from edgernn.errors import BundleError, CheckFailedError, EdgernnError, HubError, UsageError
from edgernn.hub.pull import pull
from edgernn.hub.push import push
from edgernn.hub.target import Repository

if TYPE_CHECKING:
    from conftest import Hub

PLACE = Repository("ann/tiny")
CARD = "# a card\n"


def pushed(bundle: Path, **options: bool) -> str:
    with Bundle.open(bundle) as opened:
        return push(opened, PLACE, card=CARD, **options).revision


def test_a_bundle_goes_up_and_comes_back(bundle: Path, hub: Hub, tmp_path: Path) -> None:
    revision = pushed(bundle)
    wanted = listed_files(Bundle.open(bundle))
    assert set(hub.end("ann/tiny")) == {*wanted, "README.md"}
    assert hub.end("ann/tiny")["README.md"] == CARD.encode()
    found = pull(PLACE, tmp_path / "back")
    assert found.revision == revision
    assert found.files == len(wanted)
    assert listed_files(Bundle.open(tmp_path / "back")) == wanted
    assert not (tmp_path / "back" / ".cache").exists()
    pull(PLACE, tmp_path / "back.edgernn")
    with Bundle.open(tmp_path / "back.edgernn") as packed:
        assert listed_files(packed) == wanted


def test_a_packed_bundle_goes_up_as_its_files(bundle: Path, hub: Hub, tmp_path: Path) -> None:
    pack(bundle, tmp_path / "b.edgernn")
    pushed(tmp_path / "b.edgernn")
    assert "onnx/step.onnx" in hub.end("ann/tiny")


def test_an_older_bundle_goes_and_what_is_not_of_it_stays(
    bundle: Path, captioner_bundle_folder: Path, hub: Hub, tmp_path: Path
) -> None:
    first = pushed(captioner_bundle_folder)
    hub.end("ann/tiny")["paper.pdf"] = b"mine"
    before = set(hub.end("ann/tiny"))
    with Bundle.open(bundle) as opened:
        plan = push(opened, PLACE, card=CARD, dry_run=True)
        assert set(hub.end("ann/tiny")) == before
        assert (plan.replaces, plan.revision) == (True, "")
        assert "onnx/encode.onnx" in plan.removed
    pushed(bundle)
    wanted = listed_files(Bundle.open(bundle))
    assert set(hub.end("ann/tiny")) == {*wanted, "README.md", "paper.pdf"}
    pull(PLACE, tmp_path / "old", revision=first)
    assert Bundle.open(tmp_path / "old").manifest.family == "captioner"
    pull(PLACE, tmp_path / "old")  # a newer bundle takes its place
    assert Bundle.open(tmp_path / "old").manifest.family == "language"


def test_a_dry_run_makes_no_repository(bundle: Path, hub: Hub) -> None:
    with Bundle.open(bundle) as opened:
        plan = push(opened, PLACE, card=CARD, dry_run=True)
    assert plan.added["onnx/step.onnx"] == (bundle / "onnx/step.onnx").stat().st_size
    assert not hub.repositories
    assert {method for method, _, _ in hub.asked} == {"GET"}


def test_nothing_of_a_reports_machine_is_published(bundle: Path, hub: Hub) -> None:
    (bundle / "report.json").write_text("{}")
    (bundle / "notes.txt").write_text("mine")
    pushed(bundle)
    assert not {"report.json", "notes.txt"} & set(hub.end("ann/tiny"))


def test_a_damaged_bundle_is_not_pushed(bundle: Path, hub: Hub) -> None:
    with (bundle / "onnx" / "step.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError):
        pushed(bundle)
    assert not hub.asked


def test_somebody_elses_push_is_not_overwritten(bundle: Path, hub: Hub) -> None:
    pushed(bundle)
    at, seen = hub.at, hub.at("ann/tiny", "main")
    hub.repositories["ann/tiny"].append({"README.md": b"of somebody else"})
    hub.at = lambda name, revision: (  # type: ignore[method-assign]
        seen if revision == "main" else at(name, revision)
    )
    before = len(hub.repositories["ann/tiny"])
    with pytest.raises(HubError, match=r"changed by somebody else meanwhile \(412.*push again"):
        pushed(bundle)
    assert len(hub.repositories["ann/tiny"]) == before


def test_a_file_that_the_hub_leaves_out_is_told(bundle: Path, hub: Hub) -> None:
    hub.ignored.add("golden.safetensors")
    with pytest.raises(HubError, match=r"left out golden.safetensors.*\.gitignore"):
        pushed(bundle)


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("golden.safetensors", b"x", "does not have the SHA-256|has 1 bytes|golden.safetensors"),
        ("manifest.json", b"{}", "schema version"),
        ("onnx/step.onnx", b"y" * 20, "onnx/step.onnx"),
    ],
)
def test_what_is_not_as_listed_is_not_written(
    path: str, content: bytes, told: str, bundle: Path, hub: Hub, tmp_path: Path
) -> None:
    pushed(bundle)
    shutil.copytree(bundle, tmp_path / "out")
    before = sorted(p.name for p in tmp_path.iterdir())
    hub.lie[path] = content
    for out in ("out", "new", "new.edgernn"):
        with pytest.raises(EdgernnError, match=told) as raised:
            pull(PLACE, tmp_path / out)
        assert "\n" not in str(raised.value)
        assert str(tmp_path) not in str(raised.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert Bundle.open(tmp_path / "out")


def test_the_same_bytes_of_another_content_are_refused(
    bundle: Path, hub: Hub, tmp_path: Path
) -> None:
    pushed(bundle)
    held = hub.end("ann/tiny")["golden.safetensors"]
    hub.lie["golden.safetensors"] = held[:-1] + bytes([held[-1] ^ 1])
    with pytest.raises(BundleError, match=r"ann/tiny: golden.safetensors does not have"):
        pull(PLACE, tmp_path / "out")


def test_a_name_that_leads_out_is_not_followed(bundle: Path, hub: Hub, tmp_path: Path) -> None:
    content = json.loads((bundle / "manifest.json").read_text())
    for bad in ("../out.txt", "/out.txt", "a/../../out.txt"):
        changed = {**content, "files": {**content["files"], bad: {"bytes": 1, "sha256": "0" * 64}}}
        hub.put("ann/tiny", bundle)
        hub.end("ann/tiny")["manifest.json"] = json.dumps(changed).encode()
        hub.end("ann/tiny")[bad] = b"x"
        with pytest.raises(BundleError, match="does not stay inside the bundle"):
            pull(PLACE, tmp_path / "out")
    hub.put("ann/tiny", bundle)
    hub.end("ann/tiny")["coreml/step.mlpackage/../../../out.txt"] = b"x"
    with pytest.raises(BundleError, match=r"does not stay inside the bundle|bytes there"):
        pull(PLACE, tmp_path / "out")
    assert not list(tmp_path.rglob("out*"))


def test_more_bytes_than_are_listed_are_not_fetched(bundle: Path, hub: Hub, tmp_path: Path) -> None:
    hub.put("ann/tiny", bundle)
    hub.end("ann/tiny")["golden.safetensors"] += b"x"
    with pytest.raises(BundleError, match="are expected; do not use this bundle"):
        pull(PLACE, tmp_path / "out")
    assert not [path for _, path, _ in hub.asked if path.endswith("golden.safetensors")]


@pytest.mark.parametrize("missing", ["golden.safetensors", "onnx/step.onnx", "manifest.json"])
def test_what_is_missing_is_named(missing: str, bundle: Path, hub: Hub, tmp_path: Path) -> None:
    hub.put("ann/tiny", bundle)
    del hub.end("ann/tiny")[missing]
    with pytest.raises(BundleError, match=missing):
        pull(PLACE, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_stands_at_out_is_no_bundle_and_stays(bundle: Path, hub: Hub, tmp_path: Path) -> None:
    pushed(bundle)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is no bundle; it was left as it is \(mine.txt\)"):
        pull(PLACE, tmp_path / "out")
    with pytest.raises(UsageError, match="--signer names who signed"):
        pull(PLACE, tmp_path / "new", signer="Ann")


def test_a_signature_goes_along_and_is_asked_for(bundle: Path, hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("model_signing")
    from edgernn.signing import sign_bundle

    for command in (
        "openssl ecparam -name prime256v1 -genkey -noout -out k.key",
        "openssl ec -in k.key -pubout -out k.pub",
    ):
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    pushed(bundle)
    with pytest.raises(CheckFailedError, match=r"ann/tiny is not signed"):
        pull(PLACE, tmp_path / "out", signed_by=tmp_path / "k.pub")
    assert not (tmp_path / "out").exists()
    sign_bundle(bundle, key=tmp_path / "k.key")
    pushed(bundle)
    found = pull(PLACE, tmp_path / "out", signed_by=tmp_path / "k.pub")
    assert found.signer is not None
    assert (tmp_path / "out" / "model.sig").is_file()


def test_a_folder_stands_for_a_hub(
    bundle: Path, captioner_bundle_folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "shelf"
    with Bundle.open(captioner_bundle_folder) as opened:
        assert not push(opened, place, card=CARD, dry_run=True).replaces
        assert not place.exists()
        push(opened, place, card=CARD)
    with Bundle.open(bundle) as opened:
        plan = push(opened, place, card=CARD)
        assert plan.replaces
        assert "onnx/encode.onnx" in plan.removed
        with pytest.raises(UsageError, match="is the bundle itself"):
            push(opened, bundle, card=CARD)
        with pytest.raises(UsageError, match="expected OWNER/NAME"):
            push(opened, tmp_path / "b.edgernn", card=CARD)
    assert (place / "README.md").read_text() == CARD
    pull(place, tmp_path / "out")
    assert listed_files(Bundle.open(tmp_path / "out")) == listed_files(Bundle.open(bundle))
    with pytest.raises(UsageError, match="--revision is of a hub"):
        pull(place, tmp_path / "out", revision="main")
    (place / "mine.txt").write_text("mine")
    with Bundle.open(bundle) as opened, pytest.raises(UsageError, match=r"mine\.txt"):
        push(opened, place, card=CARD)
