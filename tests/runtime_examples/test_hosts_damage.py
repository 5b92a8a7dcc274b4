"""What is damaged, hostile or too new is told by every host in one line, with exit code 2, or fails
the check with exit code 1. A needle is what the line must name; the rest is in the host's words.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import host_cases
import pytest
import safetensors.numpy
from hosts import Command, Host

from edgernn.bundle import pack
from edgernn.decoding.sampler_vectors import write_vectors

Manifest = dict[str, Any]
Change = Callable[[Path], object]


def of_manifest(change: Callable[[Manifest], object]) -> Change:
    """Return a change of the manifest."""
    return lambda folder: host_cases.edit(folder, change)


def flipped(name: str) -> Change:
    """Return a change of one bit in the middle of a file."""

    def change(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(bytes(data))

    return change


def manifest_is(content: bytes) -> Change:
    """Return a change of the whole manifest."""
    return lambda folder: (folder / "manifest.json").write_bytes(content)


NARROWING: Callable[[Manifest], Any] = lambda m: m["artifacts"][0]["narrowing"]  # noqa: E731
DAMAGE: dict[str, tuple[Change, str]] = {
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "manifest.json"),
    "an empty manifest": (manifest_is(b""), "manifest.json"),
    "a cut manifest": (manifest_is(b"{"), "manifest.json"),
    "a list": (manifest_is(b"[1]"), "manifest.json"),
    "a deep list": (manifest_is(b"[" * 100_000), "manifest.json"),
    "no text": (manifest_is(b"\xff\xfe"), "manifest.json"),
    "a version alone": (manifest_is(b'{"schema_version": 1}'), "manifest.json"),
    "a newer version": (of_manifest(lambda m: m.update(schema_version=3)), "schema_version"),
    "no version": (of_manifest(lambda m: m.pop("schema_version")), "schema_version"),
    "no contract": (of_manifest(lambda m: m.pop("contract")), "manifest.json"),
    "no files": (of_manifest(lambda m: m.pop("files")), "manifest.json"),
    "artifacts that are none": (of_manifest(lambda m: m.update(artifacts=5)), "artifact"),
    "no artifacts": (of_manifest(lambda m: m.update(artifacts=[])), "artifact"),
    "a path outside": (
        of_manifest(lambda m: m["files"].update({"../x": {"bytes": 0, "sha256": "0" * 64}})),
        "path inside the",
    ),
    "a model outside": (
        of_manifest(lambda m: m["artifacts"][0].update(path="/etc/passwd")),
        "path inside the",
    ),
    "another size": (
        of_manifest(lambda m: m["files"]["tokenizer.json"].update(bytes=3)),
        "bytes, expected 3",
    ),
    "another digest": (
        of_manifest(lambda m: m["artifacts"][0].update(sha256="0" * 64)),
        "expected 000000000000",
    ),
    "a dtype of nobody": (
        of_manifest(lambda m: NARROWING(m)["dtypes"].update(h="bfloat16")),
        "onnx/step.onnx",
    ),
    "state in the runtime": (
        of_manifest(lambda m: NARROWING(m).update(runtime_state=True)),
        "onnx/step.onnx",
    ),
    "two rows": (of_manifest(lambda m: NARROWING(m)["axes"].update(batch=2)), "onnx/step.onnx"),
    "an unknown kind": (of_manifest(lambda m: m["tokenizer"].update(kind="custom")), "custom"),
    "a tokenizer that is not listed": (
        of_manifest(lambda m: m["files"].pop("tokenizer.json")),
        "tokenizer",
    ),
    "a tokenizer elsewhere": (
        of_manifest(lambda m: m["tokenizer"].update(path="../tokenizer.json")),
        "tokenizer.json",
    ),
    "other ids": (of_manifest(lambda m: m["tokenizer"]["ids"].reverse()), "ids"),
    "a graph of nobody": (
        of_manifest(lambda m: m["contract"]["graphs"][0].update(name="stop")),
        "manifest.json",
    ),
    "another vocabulary": (
        of_manifest(lambda m: m["contract"]["sizes"].update(vocab=35)),
        "manifest.json",
    ),
    "no start": (of_manifest(lambda m: m["decoding"].update(start=[])), "start"),
    "a start that is no id": (of_manifest(lambda m: m["decoding"].update(start=[99])), "start"),
    "a changed model": (flipped("onnx/step.onnx"), "onnx/step.onnx"),
    "a cut model": (lambda f: (f / "onnx/step.onnx").write_bytes(b"x"), "onnx/step.onnx"),
    "no model": (lambda f: (f / "onnx/step.onnx").unlink(), "step.onnx"),
    "a changed recording": (flipped("golden.safetensors"), "golden.safetensors"),
    "a changed tokenizer": (flipped("tokenizer.json"), "tokenizer.json"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json"),
    "no vectors": (lambda f: (f / "sampler.json").unlink(), "sampler.json"),
    "no recording": (lambda f: (f / "golden.safetensors").unlink(), "golden.safetensors"),
    "a huge file": (lambda f: os.truncate(f / "tokenizer.json", 1 << 40), "tokenizer.json"),
}


@pytest.fixture(autouse=True)
def _judged_here(host: Host) -> None:
    """Leave out the hosts that tests of their own judge."""
    if host.own_damage:
        pytest.skip(f"{host.name} has tests of its own")


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told_in_one_line(command: Command, copy: Path, name: str) -> None:
    change, needle = DAMAGE[name]
    change(copy)
    assert needle in command.refusal(copy, "--length", 3, "--json")


@pytest.mark.parametrize(
    "name", ["manifest.json", "tokenizer.json", "golden.safetensors", "onnx/step.onnx"]
)
def test_a_link_that_leads_out_is_refused(
    command: Command, copy: Path, name: str, tmp_path: Path
) -> None:
    (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    assert "out of the bundle" in command.refusal(copy)
    (copy / name).unlink()
    (copy / name).mkdir()
    assert name in command.refusal(copy)


def test_a_bundle_that_is_not_there_is_refused(command: Command, tmp_path: Path) -> None:
    assert str(tmp_path / "none") in command.refusal(tmp_path / "none")


def test_a_damaged_recording_is_refused(command: Command, copy: Path) -> None:
    whole = (copy / "golden.safetensors").read_bytes()
    for damaged in (b"", whole[:40], b"\xff" * 8 + whole[8:], whole[:-8]):
        host_cases.replace(copy, "golden.safetensors", damaged)
        assert "golden" in command.refusal(copy, "--check")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"version": 2}', b'{"version": 1, "generator": "splitmix64", "uniforms": [5]}'],
)
def test_damaged_vectors_are_refused(command: Command, copy: Path, content: bytes) -> None:
    host_cases.replace(copy, "sampler.json", content)
    done = command.run(copy, "--check")  # a host may have printed the rows of the golden run
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "sampler" in done.stderr


@pytest.mark.parametrize(("key", "row"), [("uniforms", "uniforms"), ("tokens", "sampler")])
def test_a_sampler_vector_that_differs_fails(
    command: Command, copy: Path, key: str, row: str
) -> None:
    write_vectors(copy / "sampler.json")
    vectors = json.loads((copy / "sampler.json").read_text("utf-8"))
    vectors["uniforms"][2]["values"][1] += 2.0**-53 if key == "uniforms" else 0
    vectors["tokens"][-1]["token"] += key == "tokens"
    host_cases.replace(copy, "sampler.json", json.dumps(vectors).encode())
    assert command.failed(copy) == [row]
    host_cases.empty_vectors(copy, key)
    assert row in command.failed(copy)


def test_without_recordings_it_is_checked_as_far_as_it_goes(command: Command, copy: Path) -> None:
    host_cases.edit(copy, lambda manifest: [manifest.pop(key) for key in ("golden", "sampler")])
    rows = command.rows(copy)
    assert rows.keys() == {"golden", "tokenizer"}
    assert rows["golden"][0] is None
    assert rows["golden"][2].startswith("not run")
    assert rows["tokenizer"][2] == "ok"
    assert "export the bundle again" in command.refusal(copy, "--time", 3)


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx"])
def test_a_wide_output_is_judged_by_what_is_recorded_of_it(
    command: Command, copy: Path, artifact: str
) -> None:
    host_cases.shorten_golden(copy)
    parts = ["logits.at_columns", "logits.largest", "logits.log_sum"]
    assert [*command.rows(copy, "--artifact", artifact)][:3] == parts
    assert command.failed(copy, "--artifact", artifact) == []
    whole = safetensors.numpy.load_file(copy / "golden.safetensors")
    for part in parts:
        changed = {name: array.copy() for name, array in whole.items()}
        changed[part].flat[-1] += 5
        host_cases.replace(copy, "golden.safetensors", safetensors.numpy.save(changed))
        assert command.failed(copy, "--artifact", artifact) == [part]


@pytest.mark.parametrize("part", ["columns", "largest_ids"])
@pytest.mark.parametrize("error", [-40, 40])
def test_ids_out_of_range_of_a_wide_output_pass_nowhere(
    command: Command, copy: Path, part: str, error: int
) -> None:
    host_cases.shorten_golden(copy)
    whole = safetensors.numpy.load_file(copy / "golden.safetensors")
    whole[f"logits.{part}"].flat[-1] += error
    host_cases.replace(copy, "golden.safetensors", safetensors.numpy.save(whole))
    done = command.run(copy, "--check")
    assert done.returncode in (1, 2)
    assert (done.returncode == 1) == ("FAILED" in done.stdout)


def test_a_newer_runtime_is_asked_for_by_version(command: Command, copy: Path) -> None:
    def requires(needed: dict[str, str], *precisions: str) -> None:
        for entry in json.loads((copy / "manifest.json").read_text("utf-8"))["artifacts"]:
            if entry["graph"] == "step" and entry["precision"] in precisions:
                path = entry["path"]
                host_cases.edit(copy, lambda m, at=path: _entry(m, at).update(requires=needed))

    requires({"onnxruntime": "999.1"}, "float32")
    said = command.refusal(copy, "--artifact", "onnx/step.onnx")
    assert "onnx/step.onnx needs onnxruntime 999.1 or newer" in said
    made = json.loads(command.good(copy, "--json", "--length", 3))
    assert made["artifact"] == "onnx/step-float16.onnx"  # which runs here
    requires({"onnxruntime": "999.1"}, "float16", "int8", "int4")
    assert "needs onnxruntime 999.1" in command.refusal(copy)
    requires({"onnxruntime": "1.18", "torch": "999"}, "float32")
    assert command.failed(copy, "--artifact", "onnx/step.onnx") == []


def _entry(manifest: Manifest, path: str) -> dict[str, Any]:
    """Return the entry of a model file."""
    (found,) = (entry for entry in manifest["artifacts"] if entry["path"] == path)
    made: dict[str, Any] = found
    return made


@pytest.mark.parametrize("kind", host_cases.FOREIGN)
def test_a_model_that_asks_for_more_than_itself_is_refused(
    command: Command, copy: Path, kind: str
) -> None:
    host_cases.replace_artifact(copy, host_cases.foreign_model(copy, kind))
    said = command.refusal(copy, "--length", 1, "--artifact", "onnx/step.onnx")
    assert host_cases.FOREIGN[kind] in said


def test_an_app_may_ship_the_file_that_it_uses_alone(command: Command, copy: Path) -> None:
    (copy / "onnx/step.onnx").unlink()
    command.good(copy, "--artifact", "onnx/step-int8.onnx", "--length", 3)


@pytest.mark.parametrize(
    ("arguments", "needle"),
    [
        (["--artifact", "onnx/generate.onnx"], "generate"),
        (["--artifact", "nope"], "nope"),
        (["--prompt", "aé"], "é"),
        (["--temperature=-1"], "-1"),
        (["--temperature", "warm"], "warm"),
        (["--top-p", "0"], "top-p"),
        (["--top-k", "1.5"], "1.5"),
        (["--seed", "18446744073709551616"], "18446744073709551615"),
        (["--length", "many"], "many"),
        (["--time", "0"], "0"),
        (["--colour"], "--colour"),
    ],
)
def test_bad_arguments_are_refused(
    command: Command, text: Path, arguments: list[str], needle: str
) -> None:
    assert needle in command.refusal(text, *arguments)


@pytest.fixture
def one(host: Host, text: Path, tmp_path: Path) -> Path:
    """The bundle in one file."""
    if not host.one_file:
        pytest.skip(f"{host.name} opens folders alone")
    pack(text, tmp_path / "one.edgernn")
    return tmp_path / "one.edgernn"


def test_a_bundle_in_one_file_writes_the_same(command: Command, text: Path, one: Path) -> None:
    assert command.failed(one) == []
    outputs = [command.good(place, "--length", 50, "--seed", 3) for place in (text, one)]
    assert outputs[0] == outputs[1] != ""


def rezipped(source: Path, target: Path, change: Callable[..., object]) -> Path:
    """Write a zip again; ``change(new, name, content)`` writes each file."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            change(new, name, old.read(name))
    return target


BIG = b"0" * 50_000_000
ZIPS: dict[str, tuple[Callable[..., object], str]] = {
    "bomb": (
        lambda z, n, c: z.writestr(n, c if n != "tokenizer.json" else BIG),
        "has 50000000 bytes, expected",
    ),
    "twice": (
        lambda z, n, c: [z.writestr(n, c) for _ in range(1 + (n == "tokenizer.json"))],
        "twice",
    ),
    "without": (lambda z, n, c: n != "sampler.json" and z.writestr(n, c), "sampler.json"),
    "method": (lambda z, n, c: z.writestr(n, c, zipfile.ZIP_LZMA), "method 14"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ZIPS)
def test_a_hostile_zip_is_refused(command: Command, one: Path, name: str, tmp_path: Path) -> None:
    change, needle = ZIPS[name]
    assert needle in command.refusal(rezipped(one, tmp_path / f"{name}.edgernn", change))


def test_a_damaged_zip_is_refused(command: Command, text: Path, one: Path, tmp_path: Path) -> None:
    whole = one.read_bytes()
    for number, content in enumerate((b"", b"no zip", whole[: len(whole) // 2], whole[:-30])):
        path = tmp_path / f"{number}.edgernn"
        path.write_bytes(content)
        assert path.name in command.refusal(path)
    changed = bytearray(whole)
    changed[whole.index(b"tokenizer.json") + 60] ^= 0x55
    one.write_bytes(bytes(changed))
    assert "tokenizer.json" in command.refusal(one)


def test_a_zip_that_lies_about_a_size_is_refused(
    command: Command, text: Path, one: Path, tmp_path: Path
) -> None:
    bomb = rezipped(one, tmp_path / "bomb.edgernn", ZIPS["bomb"][0])
    said = (text / "tokenizer.json").stat().st_size  # what the table is made to say of 50 MB
    sizes = (len(BIG).to_bytes(4, "little"), said.to_bytes(4, "little"))
    bomb.write_bytes(bomb.read_bytes().replace(*sizes))
    assert "tokenizer.json" in command.refusal(bomb)
