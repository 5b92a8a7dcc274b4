"""What the C example makes of bundles: it refuses what does not fit, and checks what is there."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import frame_bundle
import host_cases
import onnxruntime
import pytest
import safetensors.numpy
from c_program import STEPS, Program, changed, mutations

EDITS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "version": (lambda m: m.update(schema_version=3), "has schema_version 3, expected 1 or 2"),
    "no version": (lambda m: m.pop("schema_version"), "expected 1"),
    "no contract": (lambda m: m.pop("contract"), "manifest.json is damaged"),
    "no files": (lambda m: m.pop("files"), "manifest.json is damaged"),
    "artifacts": (lambda m: m.update(artifacts=5), "no artifact to run"),
    "no tokenizer": (lambda m: m.pop("tokenizer"), "the bundle has no tokenizer"),
    "time": (
        lambda m: m["artifacts"][0]["narrowing"].update(axes={"time": 3}),
        "takes another size along time; expected 1",
    ),
    "dtypes": (
        lambda m: m["contract"]["graphs"][0]["outputs"][0].update(dtype="complex64"),
        "as complex64; expected bool",
    ),
    "a tensor twice": (
        lambda m: m["contract"]["graphs"][0]["inputs"].append(
            m["contract"]["graphs"][0]["inputs"][0]
        ),
        "two tensors of one name",
    ),
    "more inputs": (
        lambda m: m["contract"]["graphs"][0]["inputs"].append(
            {"name": "more", "role": "input", "dtype": "float32", "axes": ["batch"]}
        ),
        "expected a model of text alone",
    ),
    "frames": (lambda m: m["contract"].update(step_frames=0), "step_frames is no number"),
    "outside": (
        lambda m: m["files"].update({"../x": {"bytes": 0, "sha256": ""}}),
        "a file has no path inside the folder",
    ),
    "absolute": (
        lambda m: m["artifacts"][0].update(path="/etc/passwd"),
        "a file has no path inside the folder",
    ),
    "size": (lambda m: m["files"]["tokenizer.json"].update(bytes=3), "bytes, expected 3"),
    "huge size": (
        lambda m: m["files"]["tokenizer.json"].update(bytes=1e300),
        "manifest.json is damaged",
    ),
    "digest": (lambda m: m["artifacts"][0].update(sha256="0" * 64), f"expected {'0' * 64}"),
    "dtype": (
        lambda m: m["artifacts"][0]["narrowing"]["dtypes"].update(h="float16"),
        "has h as float16",
    ),
    "tolerance": (lambda m: m["artifacts"][0].update(tolerance="wide"), "manifest.json is damaged"),
    "kept": (
        lambda m: m["artifacts"][0]["narrowing"].update(runtime_state=True),
        "keeps the state itself",
    ),
    "kind": (
        lambda m: m["tokenizer"].update(kind="custom"),
        "the tokenizer is of kind custom, expected char, byte, word, bpe",
    ),
    "other kind": (
        lambda m: m["tokenizer"].update(kind="word"),
        "it has no pattern that cuts a text",
    ),
    "no bytes": (lambda m: m["tokenizer"].update(kind="byte"), "it has no token for every byte"),
    "tokenizer not listed": (
        lambda m: m["files"].pop("tokenizer.json"),
        "manifest.json lacks the file tokenizer.json",
    ),
    "tokenizer elsewhere": (
        lambda m: m["tokenizer"].update(path="/etc/hostname"),
        "manifest.json lacks the file /etc/hostname",
    ),
    "requires": (
        lambda m: m["artifacts"][0].update(requires={"onnxruntime": "newest"}),
        "an artifact requires what is no version",
    ),
    "a drive": (
        lambda m: m["artifacts"][0].update(path="c:step.onnx"),
        "a file has no path inside the folder",
    ),
    "a dot": (
        lambda m: m["artifacts"][0].update(path="./onnx/step.onnx"),
        "a file has no path inside the folder",
    ),
    "ids": (lambda m: m["tokenizer"]["ids"].reverse(), "the recorded text has other ids"),
    "fewer ids": (lambda m: m["tokenizer"]["ids"].pop(), "the recorded text has other ids"),
    "vocabulary": (lambda m: m["contract"]["sizes"].update(vocab=35), "as many tokens"),
    "hidden": (
        lambda m: m["contract"]["sizes"].update(hidden=9),
        "onnxruntime refuses onnx/step.onnx",
    ),
    "huge": (lambda m: m["contract"]["sizes"].update(hidden=2**40), "beyond reason"),
    "no state out": (
        lambda m: m["contract"]["graphs"][0]["outputs"].pop(),
        "a state goes in and does not come out",
    ),
    "state": (
        lambda m: (m.update(schema_version=1), m["contract"].update(initial_state="encode")),
        "the first value of h is to come from encode, which gives none",
    ),
    "source": (
        lambda m: (m.update(schema_version=2), m["contract"].update(initial_state={"h": "random"})),
        "expected zeros, learned, stored or encode",
    ),
    "start": (
        lambda m: m["decoding"].update(start=[99]),
        "a start token in manifest.json is no id",
    ),
    "default": (
        lambda m: m["decoding"].update(temperature="hot"),
        "--temperature is damaged in manifest.json",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_manifest_that_does_not_fit_is_refused(
    sanitized: Program, text: Path, tmp_path: Path, name: str
) -> None:
    edit, says = EDITS[name]
    assert says in sanitized.refusal(changed(text, tmp_path / "b", edit), "--json")


def test_no_damage_to_a_general_network_is_more_than_a_line(
    sanitized: Program, tmp_path: Path
) -> None:
    """The reader of contracts under sanitizers: each damaged manifest is one line, or it is
    good.
    """
    folder = frame_bundle.write_frame_bundle(tmp_path, encode=True)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    reached = set()
    for content in host_cases.damaged_manifests(
        {key: value for key, value in manifest.items() if key != "provenance"}, 8, 80
    ):
        (folder / "manifest.json").write_bytes(content)
        done = sanitized.run(folder, "--check")
        assert done.returncode in {0, 1, 2}, (content, done.stderr)
        assert done.stderr.count("\n") == (done.returncode == 2), done.stderr
        reached.add(done.returncode)
    assert reached >= {0, 2}


@pytest.mark.parametrize("kind", host_cases.PROMISES)
def test_a_file_is_held_to_what_the_manifest_promises(
    sanitized: Program, text: Path, tmp_path: Path, kind: str
) -> None:
    edit, artifact, *_ = host_cases.PROMISES[kind]
    folder = changed(text, tmp_path / "b", edit)
    host_cases.assert_promise(sanitized.run(folder, "--check", "--artifact", artifact), kind)


def test_ids_that_no_tokenizer_has_are_refused(
    sanitized: Program, text: Path, tmp_path: Path
) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    for wrong in (34, 10**9, -1, 0.5, 1, "1"):
        document = json.loads((text / "tokenizer.json").read_text("utf-8"))
        document["model"]["vocab"]["z"] = wrong
        host_cases.replace(folder, "tokenizer.json", json.dumps(document).encode())
        assert (
            "an id is no number below the size of the vocabulary, or comes twice"
            in sanitized.refusal(folder)
        )


def test_files_that_are_missing_or_damaged_are_refused(
    sanitized: Program, text: Path, tmp_path: Path
) -> None:
    assert "No such file" in sanitized.refusal(tmp_path / "none")
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    content = (folder / "onnx/step.onnx").read_bytes()
    (folder / "onnx/step.onnx").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "step.onnx has SHA-256" in sanitized.refusal(folder)
    (folder / "onnx/step.onnx").unlink()
    assert "step.onnx: No such file" in sanitized.refusal(folder)
    sanitized.good(folder, "--artifact", "onnx/step-int8.onnx", "--length", 3)


def test_damaged_vectors_are_refused(sanitized: Program, text: Path, tmp_path: Path) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    whole = (text / "sampler.json").read_bytes()
    for content in (
        b"",
        b"{}",
        whole.replace(b"splitmix64", b"other"),
        whole.replace(b'"top_k":', b'"top_k": -1, "x":'),
    ):
        host_cases.replace(folder, "sampler.json", content)
        assert "vectors are damaged" in sanitized.run(folder, "--check").stderr
    host_cases.edit(folder, lambda manifest: manifest["files"].pop("sampler.json"))
    assert "manifest.json lacks the file sampler.json" in sanitized.run(folder, "--check").stderr


def test_the_vectors_of_the_sampler_are_replayed(
    sanitized: Program, text: Path, tmp_path: Path
) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    vectors = json.loads((text / "sampler.json").read_text("utf-8"))
    vectors["uniforms"][0]["values"][0] += 2.0**-53
    vectors["tokens"][-1]["token"] += 1
    host_cases.replace(folder, "sampler.json", json.dumps(vectors).encode())
    done = sanitized.run(folder, "--check")
    assert (done.returncode, done.stderr) == (1, "")
    failed = [line.split() for line in done.stdout.splitlines() if line.endswith(" FAILED")]
    assert failed == [["uniforms", "1.0e+00", "0", "FAILED"], ["sampler", "1.0e+00", "0", "FAILED"]]
    host_cases.edit(folder, lambda manifest: manifest.pop("sampler"))
    assert "sampler" not in sanitized.good(folder, "--check")


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx"])
def test_a_short_record_of_the_logits_is_replayed(
    sanitized: Program, text: Path, tmp_path: Path, artifact: str
) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    host_cases.shorten_golden(folder)
    said = sanitized.good(folder, "--check", "--artifact", artifact)
    names = [line.split()[0] for line in said.splitlines()]
    assert names[:3] == ["logits.at_columns", "logits.largest", "logits.log_sum"]
    for name in names[:3]:
        tensors = safetensors.numpy.load_file(folder / "golden.safetensors")
        tensors[name].flat[-1] += 40
        other = changed(folder, tmp_path / name, lambda manifest: None)
        host_cases.replace(other, "golden.safetensors", safetensors.numpy.save(tensors))
        done = sanitized.run(other, "--check", "--artifact", artifact)
        assert (done.returncode, done.stderr) == (1, "")
        assert [
            line.split()[0] for line in done.stdout.splitlines() if line.endswith(" FAILED")
        ] == [name]
    tensors = safetensors.numpy.load_file(folder / "golden.safetensors")
    tensors["logits.largest_ids"].flat[3] = 10**6
    host_cases.replace(folder, "golden.safetensors", safetensors.numpy.save(tensors))
    assert "the golden run has the token 1000000" in sanitized.refusal(folder, "--check")


def test_an_older_runtime_is_named(sanitized: Program, text: Path, tmp_path: Path) -> None:
    needed = {"onnxruntime": "99.1"}
    folder = changed(
        text, tmp_path / "b", lambda manifest: manifest["artifacts"][0].update(requires=needed)
    )
    said = sanitized.refusal(folder, "--artifact", STEPS[0])
    assert f"{STEPS[0]} needs onnxruntime 99.1 or newer, this is {onnxruntime.__version__}" in said
    found = json.loads(sanitized.good(folder, "--json", "--length", 1))
    assert found["artifact"] == STEPS[1]  # none was named, so that the next one is taken
    for manifest_artifact in ("1", "1.17", "1.17.0", onnxruntime.__version__):
        host_cases.edit(
            folder,
            lambda m, least=manifest_artifact: m["artifacts"][0].update(
                requires={"onnxruntime": least}
            ),
        )
        sanitized.good(folder, "--artifact", STEPS[0], "--length", 1)


def test_what_leads_out_of_the_bundle_is_refused(
    sanitized: Program, text: Path, tmp_path: Path
) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    outside = tmp_path / "tokenizer.json"
    (folder / "tokenizer.json").rename(outside)
    (folder / "tokenizer.json").symlink_to(outside)
    assert "tokenizer.json leads out of the bundle" in sanitized.refusal(folder)
    (folder / "tokenizer.json").unlink()
    outside.rename(folder / "own.json")
    (folder / "tokenizer.json").symlink_to("own.json")
    sanitized.good(folder, "--length", 1)
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")
    assert "is no plain file" in sanitized.refusal(folder)


def test_a_zipped_bundle_is_named_with_what_to_do(sanitized: Program, tmp_path: Path) -> None:
    packed = tmp_path / "b.edgernn"
    packed.write_bytes(b"PK")
    assert f"unpack it: unzip -q {packed} -d FOLDER" in sanitized.refusal(packed)


def test_a_name_that_comes_twice_is_refused(sanitized: Program, text: Path, tmp_path: Path) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    path = folder / "manifest.json"
    path.write_text(
        path.read_text("utf-8").replace('"files":', '"golden": null, "files":'), "utf-8"
    )
    assert "an object has a name twice" in sanitized.refusal(folder)


@pytest.mark.parametrize("kind", host_cases.FOREIGN)
def test_a_model_that_asks_for_more_than_itself_is_refused(
    sanitized: Program, text: Path, tmp_path: Path, kind: str
) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    host_cases.replace_artifact(folder, host_cases.foreign_model(folder, kind))
    assert host_cases.FOREIGN[kind] in sanitized.refusal(folder, "--check")


@pytest.mark.parametrize(("key", "row"), [("uniforms", "uniforms"), ("tokens", "sampler")])
def test_vectors_without_any_fail(
    sanitized: Program, text: Path, tmp_path: Path, key: str, row: str
) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: None)
    host_cases.empty_vectors(folder, key)
    done = sanitized.run(folder, "--check")
    failed = [line.split() for line in done.stdout.splitlines() if line.endswith(" FAILED")]
    assert (done.returncode, failed) == (1, [[row, "inf", "0", "FAILED"]])


def test_a_bundle_without_a_recorded_run_is_checked_as_far_as_it_goes(
    sanitized: Program, text: Path, tmp_path: Path
) -> None:
    folder = changed(text, tmp_path / "b", lambda manifest: manifest.pop("golden"))
    said = sanitized.good(folder, "--check").splitlines()
    assert said[0] == "golden           - 0 not run; the bundle has no recorded run"
    assert [line.split()[0] for line in said[1:]] == ["uniforms", "sampler", "tokenizer"]
    host_cases.edit(folder, lambda manifest: manifest.update(golden=5))
    sanitized.refusal(folder, "--check")


def test_a_long_prompt_is_fed_in_parts_of_bounded_logits(drive: Callable[..., str]) -> None:
    source = """
#include <stdio.h>
#include "sampler.h"
int main(void) {
    for (size_t vocabulary = 2; vocabulary < (size_t)1 << 22; vocabulary *= 1024 * 4) {
        struct bundle open = {.vocabulary = vocabulary, .open_time = true}, closed = {.vocabulary = vocabulary};
        printf("%zu %zu ", prefill_width(&open), prefill_width(&closed));
    }
}
"""
    assert drive(source).split() == ["256", "1", "128", "1"]


def test_damaged_models_are_read_to_their_end_and_no_further(
    drive: Callable[..., str], text: Path
) -> None:
    source = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "onnx_guard.h"
int main(void) {
    uint32_t length = 0;
    while (fread(&length, sizeof length, 1, stdin) == 1) {
        struct bundle_error error;
        char *model = malloc(length); /* of no byte more, so that a sanitizer sees what is read beyond it */
        if (model == NULL || fread(model, 1, length, stdin) != length) return 1;
        putchar(refuse_foreign(model, length, "model", &error) ? '1' : '0');
        free(model);
    }
}
"""
    whole = [host_cases.foreign_model(text, kind) for kind in ("", "sub-graph")]
    given = [
        *whole,
        *mutations(whole[0], count=400, seed=8),
        *mutations(whole[1], count=400, seed=9),
    ]
    given = [content for content in given if content]
    said = drive(
        source, given=b"".join(struct.pack("<I", len(content)) + content for content in given)
    )
    assert (len(said), said[:2]) == (len(given), "10")
