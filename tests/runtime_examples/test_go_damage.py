"""What is damaged, hostile or of another bundle is told by the host in Go in one line, with exit
code 2. ``.ci/go`` gets Go.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import go_host
import host_cases
import pytest
from damage_cases import DAMAGE
from hosts import Command

from edgernn.bundle import pack

if go_host.found() is None:
    pytest.skip("needs go: .ci/go", allow_module_level=True)

MANIFESTS = 300


@pytest.fixture(scope="module")
def lstm(go_programs: Callable[..., Command], compiled_bundles: dict[str, Path]) -> Command:
    """The program around the LSTM."""
    return go_programs(compiled_bundles["lstm"])


@pytest.fixture
def folder(compiled_bundles: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the LSTM's bundle, to be changed."""
    return host_cases.copied(compiled_bundles["lstm"], tmp_path / "b")


# what concerns a file for onnxruntime, which this host never opens
OTHERS = {"a changed model", "a cut model", "no model"}


@pytest.mark.parametrize("name", [name for name in DAMAGE if name not in OTHERS])
def test_damage_is_told_in_one_line(lstm: Command, folder: Path, name: str) -> None:
    change, needle = DAMAGE[name]
    change(folder)
    wanted = needle.replace("onnx/step.onnx", "c/step")
    assert wanted in lstm.refusal(folder, "--length", 3, "--json")


def test_a_link_that_leads_out_is_refused(lstm: Command, folder: Path, tmp_path: Path) -> None:
    for name in ("manifest.json", "tokenizer.json"):
        (folder / name).rename(tmp_path / name)
        (folder / name).symlink_to(tmp_path / name)
        assert "leads out of the bundle" in lstm.refusal(folder)
        (folder / name).unlink()
        (tmp_path / name).rename(folder / "own")
        (folder / name).symlink_to("own")
        lstm.good(folder, "--length", 3)
        (folder / name).unlink()
        (folder / "own").rename(folder / name)


def test_a_bundle_in_one_file_writes_the_same(lstm: Command, folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "one.edgernn")
    flags = ["--length", 50, "--seed", 3]
    assert lstm.good(tmp_path / "one.edgernn", *flags) == lstm.good(folder, *flags)
    assert lstm.failed(tmp_path / "one.edgernn") == []
    whole = (tmp_path / "one.edgernn").read_bytes()
    for number, content in enumerate((b"", b"PK", whole[: len(whole) // 2], whole[:-30])):
        (tmp_path / f"{number}.edgernn").write_bytes(content)
        assert f"{number}.edgernn" in lstm.refusal(tmp_path / f"{number}.edgernn")
    with zipfile.ZipFile(tmp_path / "one.edgernn") as old:
        files = {name: old.read(name) for name in old.namelist()}
    files["tokenizer.json"] += b" " * 50_000_000
    with zipfile.ZipFile(tmp_path / "bomb.edgernn", "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in files.items():
            new.writestr(name, content)
    assert "tokenizer.json in " in lstm.refusal(tmp_path / "bomb.edgernn")


def test_another_bundle_is_refused(lstm: Command, compiled_bundles: dict[str, Path]) -> None:
    said = lstm.refusal(compiled_bundles["gru"], "--check")
    assert "this program was compiled with a c/step of the SHA-256 " in said


def test_a_captioner_is_told_what_it_lacks(
    go_programs: Callable[..., Command], compiled_bundles: dict[str, Path]
) -> None:
    said = go_programs(compiled_bundles["captioner"]).refusal(compiled_bundles["captioner"])
    assert "its step alone was compiled; give what another runtime made" in said


def test_a_network_of_several_streams_is_refused(
    go_programs: Callable[..., Command], compiled_bundles: dict[str, Path]
) -> None:
    said = go_programs(compiled_bundles["streams"]).refusal(compiled_bundles["streams"], "--check")
    assert "c/step takes only 4 along batch, expected 1" in said


@pytest.mark.parametrize(
    ("arguments", "needle"),
    [
        (["--artifact", "nope"], "nope"),
        (["--prompt", "aé"], "é"),
        (["--temperature=-1"], "-1"),
        (["--temperature", "nan"], "nan"),
        (["--top-p", "0"], "top-p"),
        (["--top-k", "1.5"], "1.5"),
        (["--seed", "18446744073709551616"], "18446744073709551615"),
        (["--seed", ""], "seed"),
        (["--length", "many"], "many"),
        (["--time", "0"], "0"),
        (["--colour"], "--colour"),
        (["--seed"], "--seed"),
    ],
)
def test_bad_arguments_are_refused(
    lstm: Command, folder: Path, arguments: list[str], needle: str
) -> None:
    assert needle in lstm.refusal(folder, *arguments)


def test_no_manifest_ends_it_with_a_panic(go_parts: Command, folder: Path, tmp_path: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    texts = host_cases.damaged_manifests(manifest, 7, MANIFESTS)
    (tmp_path / "list").write_text(json.dumps([each.decode("latin-1") for each in texts]), "utf-8")
    reached = go_parts.good("--fuzz", tmp_path / "list", folder).strip()
    assert re.fullmatch(rf"[0-3]{{{MANIFESTS}}}", reached)
    assert 0 < reached.count("0") < MANIFESTS


def test_without_a_bundle_it_says_what_to_do(tmp_path: Path) -> None:
    host = go_host.copied(tmp_path)
    done = go_host.go(host, "build", "./cmd/edgernn-run")
    assert done.returncode != 0
    assert "no bundle is compiled in; run: go run ./cmd/prepare BUNDLE" in done.stderr


def test_a_damaged_bundle_is_not_compiled(folder: Path, tmp_path: Path) -> None:
    with (folder / "c" / "step" / "step.c").open("a") as file:
        file.write("/* more */\n")
    host = go_host.copied(tmp_path / "copy")
    done = go_host.go(host, "run", "./cmd/prepare", str(folder))
    assert done.returncode != 0
    assert "error: c/step has SHA-256 " in done.stderr
    assert not (host / "network" / "made.go").exists()


def test_a_word_beyond_reason_is_refused(go_parts: Command, text: Path, tmp_path: Path) -> None:
    """In one line: a group that is repeated takes memory for each time."""
    folder = host_cases.with_tokenizer(text, tmp_path / "b", host_cases.tokenizer_of("word"))
    for length, good in ((60_000, True), (70_000, False)):
        (tmp_path / "given").write_text(json.dumps(["x" * length]), "utf-8")
        line = go_parts.good("--tokens", tmp_path / "given", folder).strip()
        assert (line != "!") == good
