"""What is damaged, hostile or too new is told by every host in one line, with exit code 2, or fails
the check with exit code 1. A needle is what the line must name; the rest is in the host's words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import foreign_cases
import host_cases
import pytest
import safetensors.numpy
from damage_cases import DAMAGE
from hosts import Command, Host

from edgernn.decoding.sampler_vectors import write_vectors

Manifest = dict[str, Any]


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
    (tmp_path / "elsewhere").rename(copy / "own")
    (copy / name).symlink_to("own" if "/" not in name else "../own")
    command.good(copy, "--artifact", "onnx/step.onnx", "--length", 3)
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
    [
        b"",
        b"[]",
        b'{"version": 2}',
        b'{"version": 1, "generator": "splitmix64", "uniforms": [5]}',
        b'{"version": 1, "generator": "other", "uniforms": [], "tokens": []}',
    ],
)
def test_damaged_vectors_are_refused(command: Command, copy: Path, content: bytes) -> None:
    host_cases.replace(copy, "sampler.json", content)
    done = command.run(copy, "--check")  # a host may have printed the rows of the golden run
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "sampler" in done.stderr


def test_vectors_that_are_not_listed_are_refused(command: Command, copy: Path) -> None:
    host_cases.edit(copy, lambda manifest: manifest["files"].pop("sampler.json"))
    done = command.run(copy, "--check")
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
    for met in ("1", "1.18", "1.18.0"):
        requires({"onnxruntime": met, "torch": "999"}, "float32")
        command.good(copy, "--artifact", "onnx/step.onnx", "--length", 1)


def _entry(manifest: Manifest, path: str) -> dict[str, Any]:
    """Return the entry of a model file."""
    (found,) = (entry for entry in manifest["artifacts"] if entry["path"] == path)
    made: dict[str, Any] = found
    return made


@pytest.mark.parametrize("kind", foreign_cases.FOREIGN)
def test_a_model_that_asks_for_more_than_itself_is_refused(
    command: Command, copy: Path, kind: str
) -> None:
    foreign_cases.replace_artifact(copy, foreign_cases.foreign_model(copy, kind))
    said = command.refusal(copy, "--length", 1, "--artifact", "onnx/step.onnx")
    assert foreign_cases.FOREIGN[kind] in said


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
        (["--seed"], "--seed"),
        (["--seed=-1"], "seed"),
        (["--seed", "1.5"], "1.5"),
        (["--seed", "x"], "x"),
        (["--seed", ""], "seed"),
        (["--seed", "0x10"], "0x10"),
        (["--top-p", "1.5"], "top-p"),
        (["--temperature", "nan"], "nan"),
        (["--length", "1.5"], "1.5"),
    ],
)
def test_bad_arguments_are_refused(
    command: Command, text: Path, arguments: list[str], needle: str
) -> None:
    assert needle in command.refusal(text, *arguments)


def test_a_name_that_comes_twice_is_refused(host: Host, command: Command, copy: Path) -> None:
    path = copy / "manifest.json"
    text = path.read_text("utf-8").replace('"files":', '"golden": null, "files":')
    path.write_text(text, "utf-8")
    if host.names_once:
        assert "manifest.json" in command.refusal(copy)
    else:
        command.good(copy, "--length", 3)
