"""The Kotlin core: compiled for the JVM and run with a runtime that replays recordings, and
with ONNX Runtime behind a pipe.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import host_cases
import numpy as np
import onnxruntime
import pytest
import safetensors.numpy
from hosts import PIPE, Command, kotlin_command

from edgernn.bundle import Bundle
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.writing.text import write_text

ROOT = Path(__file__).resolve().parents[2] / "runtime_examples" / "android"
CORE = ROOT / "core" / "src"
LOOSE = ReducedOptions(
    budget=Budget(perplexity="900%")
)  # untrained weights: what they lose is not the point
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def text_bundle(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny LSTM in float32 and int8. Read only."""
    folder = tmp_path_factory.mktemp("bundle") / "text"
    export_bundle(
        checkpoint_folder,
        folder,
        to="onnx",
        precision=("float32", "int8"),
        steps=16,
        options=LOOSE,
        release=True,
    )
    return folder


@pytest.fixture(scope="module")
def caption_bundle(captioner_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny captioner in float32 and int8. Read only."""
    folder = tmp_path_factory.mktemp("bundle") / "captions"
    export_bundle(
        captioner_folder, folder, to="onnx", precision=("float32", "int8"), steps=8, options=LOOSE
    )
    return folder


@pytest.fixture
def run(kotlin_core: Path) -> Run:
    """Run the core's command line on a runtime: the replay of a recording, or one behind a pipe."""

    def call(
        *arguments: object, runtime: str = "replay", error: str = "0"
    ) -> subprocess.CompletedProcess[str]:
        command = kotlin_command(kotlin_core)
        environment = {"EDGERNN_RUNTIME": runtime, "EDGERNN_REPLAY_ERROR": error}
        return Command(command.words, {**command.environment, **environment}).run(*arguments)

    return call


def assert_refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Bad input ends with 2 and one line on stderr that has every part."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


def test_it_samples_as_the_reference_does(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(12)
    cases, expected = [], []
    for index in range(300):
        logits = random.normal(0, 3, int(random.integers(1, 40))).astype(np.float32)
        if index % 3 == 0:
            logits = np.round(logits)  # ties, and zeros of both signs
        options = {
            "temperature": float(random.choice([0, 0.3, 0.8, 2])),
            "top_k": int(random.choice([0, 1, 3, 100])),
            "top_p": float(random.choice([0.2, 0.9, 1])),
        }
        uniform = float(random.random())
        cases.append({**options, "uniform": uniform, "logits": logits.tolist()})
        expected.append(Sampler(**options).pick(logits, uniform))
    border = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "uniform": 0.5, "logits": [1.0, 1.0]}
    cases += [border, {**border, "top_p": 0.5, "uniform": 0.9}]
    expected += [1, 0]
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(cases))
    done = run("--vectors", path)
    assert [int(line) for line in done.stdout.split()] == expected, done.stderr


@pytest.mark.parametrize("fixture", ["text_bundle", "caption_bundle"])
def test_a_perfect_replay_passes_the_golden_run(
    run: Run, fixture: str, request: pytest.FixtureRequest
) -> None:
    done = run(request.getfixturevalue(fixture), "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(re.search(r" 0\.0e\+00 \S+ ok$", line) for line in done.stdout.splitlines())
    assert [line.split()[0] for line in done.stdout.splitlines()][-2:] == ["uniforms", "sampler"]
    assert "h_next" in done.stdout


@pytest.mark.parametrize("error", ["0.1", "NaN"])
def test_one_wrong_logit_fails_the_golden_run(run: Run, text_bundle: Path, error: str) -> None:
    done = run(text_bundle, "--check", error=error)
    assert done.returncode == 1, done.stdout + done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line.endswith("FAILED")] == [
        "logits"
    ]


@pytest.mark.parametrize("fixture", ["text_bundle", "caption_bundle"])
def test_real_files_pass_the_golden_run(
    run: Run, fixture: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(fixture)
    for artifact in ("onnx/step.onnx", "onnx/step-int8.onnx"):
        done = run(folder, "--check", "--artifact", artifact, runtime=PIPE)
        assert done.returncode == 0, (artifact, done.stdout + done.stderr)
        assert ("h_next[1]" in done.stdout) == (
            artifact.endswith("int8.onnx") and fixture == "text_bundle"
        )


def test_greedy_text_is_the_reference_text(run: Run, text_bundle: Path) -> None:
    expected = write_text(
        text_bundle, "the quick", length=500, temperature=0, artifact="onnx/step.onnx"
    )
    done = run(
        text_bundle,
        "--prompt",
        "the quick",
        "--length",
        500,
        "--temperature",
        0,
        "--json",
        runtime=PIPE,
    )
    assert json.loads(done.stdout)["tokens"] == expected["tokens"], done.stderr


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--prompt", "a€"), ("'€'", "leave it out")),
        (("--artifact", "onnx/none.onnx"), ("none.onnx", "onnx/step.onnx")),
        (("--top-p", "1.5"), ("top-p", "1.5")),
        (("--temperature", "-1"), ("temperature", "-1")),
        (("--length", "many"), ("many", "a number")),
        (("--seed", "-1"), ("--seed is -1", "0 to 18446744073709551615")),
        (("--seed", "18446744073709551616"), ("--seed is", "0 to 18446744073709551615")),
    ],
)
def test_misuse_is_one_line(
    run: Run, text_bundle: Path, arguments: Sequence[str], parts: Sequence[str]
) -> None:
    assert_refused(run(text_bundle, *arguments), *parts)


def test_a_damaged_bundle_is_refused(run: Run, text_bundle: Path, tmp_path: Path) -> None:
    assert_refused(run(tmp_path / "nowhere"), "is not there")
    folder = Path(shutil.copytree(text_bundle, tmp_path / "copy"))
    model = folder / "onnx" / "step.onnx"
    data = bytearray(model.read_bytes())
    data[100] ^= 1
    model.write_bytes(data)
    assert_refused(run(folder), "step.onnx", "SHA-256")
    manifest = folder / "manifest.json"
    whole = manifest.read_text()
    manifest.write_text(re.sub(r'"schema_version": \d', '"schema_version": 3', whole))
    assert_refused(run(folder), "schema_version 3")
    manifest.write_text(whole[: len(whole) // 2])
    assert_refused(run(folder), "damaged")
    golden = folder / "golden.safetensors"
    manifest.write_text(whole)
    golden.write_bytes(golden.read_bytes()[:-1])
    assert_refused(run(folder), "golden.safetensors", "bytes")


@pytest.mark.parametrize("kind", host_cases.KINDS)
def test_every_kind_of_tokens_is_read_as_the_library_reads_it(
    run: Run, text_bundle: Path, tmp_path: Path, kind: str
) -> None:
    """Of characters that Java's Unicode knows: it is older than that of the tokenizers library."""
    tokenizer = host_cases.tokenizer_of(kind)
    folder = host_cases.with_tokenizer(text_bundle, tmp_path / "b", tokenizer)
    texts, lists = host_cases.texts(5, 400, newest=0xE001), host_cases.id_lists(tokenizer, 6, 200)
    (tmp_path / "given.json").write_text(json.dumps([*texts, *lists]), "utf-8")
    done = run(folder, "--tokens", tmp_path / "given.json")
    lines = done.stdout.splitlines()
    assert len(lines) == len(texts) + len(lists), done.stderr
    for line, given in zip(lines, texts, strict=False):
        wanted = host_cases.reference(tokenizer, given)
        assert line == ("!" if wanted is None else "".join(f"{token} " for token in wanted)), repr(
            given
        )
    for line, ids in zip(lines[len(texts) :], lists, strict=True):
        pieces = [
            bytes.fromhex(piece).decode() for piece in line.split("|")
        ]  # no piece splits a character
        assert "".join(pieces) == tokenizer.decode(ids)


@pytest.mark.parametrize("pattern", host_cases.PATTERNS)
def test_patterns_cut_as_those_of_the_library(
    run: Run, text_bundle: Path, tmp_path: Path, pattern: str
) -> None:
    tokenizer = host_cases.with_pattern(host_cases.tokenizer_of("word"), pattern)
    folder = host_cases.with_tokenizer(text_bundle, tmp_path / "b", tokenizer)
    host_cases.edit(folder, lambda manifest: manifest["tokenizer"].update(kind="word"))
    texts = host_cases.texts(9, 300, newest=0xE001)
    (tmp_path / "given.json").write_text(json.dumps(texts), "utf-8")
    done = run(folder, "--tokens", tmp_path / "given.json")
    wanted = [host_cases.reference(tokenizer, given) or [] for given in texts]
    assert done.stdout.splitlines() == ["".join(f"{token} " for token in ids) for ids in wanted], (
        done.stderr
    )


def test_one_seed_writes_the_text_of_the_library(run: Run, text_bundle: Path) -> None:
    for seed, length in ((7, 500), (2**64 - 1, 20)):
        wanted = write_text(
            text_bundle,
            "the quick",
            length=length,
            temperature=0.8,
            seed=seed,
            artifact="onnx/step.onnx",
        )
        flags = ("--length", length, "--temperature", 0.8, "--seed", seed, "--json")
        done = run(text_bundle, "--prompt", "the quick", *flags, runtime=PIPE)
        assert json.loads(done.stdout)["tokens"] == wanted["tokens"], done.stderr


def test_the_vectors_of_the_sampler_are_replayed(
    run: Run, text_bundle: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(text_bundle, tmp_path / "copy"))
    whole = (folder / "sampler.json").read_bytes()
    vectors = json.loads(whole)
    vectors["uniforms"][0]["values"][0] += 2.0**-53
    vectors["tokens"][-1]["token"] += 1
    host_cases.replace(folder, "sampler.json", json.dumps(vectors).encode())
    done = run(folder, "--check")
    assert (done.returncode, done.stderr) == (1, "")
    failed = [line.split() for line in done.stdout.splitlines() if line.endswith(" FAILED")]
    assert failed == [
        ["uniforms", "1.0e+00", "0", "FAILED"],
        ["sampler", "1.0e+00", "0", "FAILED"],
    ]
    host_cases.replace(folder, "sampler.json", whole.replace(b"splitmix64", b"other"))
    done = run(folder, "--check")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    host_cases.edit(folder, lambda m: m["files"].pop("sampler.json"))
    assert "sampler.json is not among the files of the manifest" in run(folder, "--check").stderr


def test_a_short_record_of_the_logits_is_replayed(
    run: Run, text_bundle: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(text_bundle, tmp_path / "copy"))
    host_cases.shorten_golden(folder)
    for artifact in ("onnx/step.onnx", "onnx/step-int8.onnx"):
        done = run(folder, "--check", "--artifact", artifact, runtime=PIPE)
        assert done.returncode == 0, done.stdout + done.stderr
    tensors = safetensors.numpy.load_file(folder / "golden.safetensors")
    for name in ("logits.at_columns", "logits.largest", "logits.log_sum"):
        assert name in done.stdout
        changed = {**tensors, name: tensors[name].copy()}
        changed[name].flat[-1] += 40
        host_cases.replace(folder, "golden.safetensors", safetensors.numpy.save(changed))
        done = run(folder, "--check", runtime=PIPE)
        assert [
            line.split()[0] for line in done.stdout.splitlines() if line.endswith(" FAILED")
        ] == [name]
    tensors["logits.largest_ids"].flat[3] = 10**6
    host_cases.replace(folder, "golden.safetensors", safetensors.numpy.save(tensors))
    assert "parts of logits that do not fit" in run(folder, "--check", runtime=PIPE).stderr


def test_an_older_runtime_is_named(run: Run, text_bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(text_bundle, tmp_path / "copy"))
    host_cases.edit(folder, lambda m: m["artifacts"][0].update(requires={"onnxruntime": "99.1"}))
    said = f"onnx/step.onnx needs onnxruntime 99.1 or newer, this is {onnxruntime.__version__}"
    assert_refused(run(folder, "--artifact", "onnx/step.onnx", runtime=PIPE), said)
    done = run(folder, "--length", 1, "--json", runtime=PIPE)
    assert (
        json.loads(done.stdout)["artifact"] == "onnx/step-int8.onnx"
    )  # none was named: the next one is taken


def test_what_leads_out_or_says_a_thing_twice_is_refused(
    run: Run, text_bundle: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(text_bundle, tmp_path / "copy"))
    (folder / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    (folder / "tokenizer.json").symlink_to(tmp_path / "tokenizer.json")
    assert_refused(run(folder), "tokenizer.json, which is outside")
    host_cases.edit(folder, lambda m: m["files"].pop("tokenizer.json"))
    assert_refused(run(folder), "tokenizer.json is not among the files of the manifest")
    path = folder / "manifest.json"
    path.write_text(
        path.read_text("utf-8").replace('"files":', '"golden": null, "files":'), "utf-8"
    )
    assert_refused(run(folder), "every name of an object once")


def test_a_packed_bundle_is_opened(run: Run, text_bundle: Path, tmp_path: Path) -> None:
    packed = tmp_path / "b.edgernn"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in text_bundle.rglob("*"):
            archive.write(path, path.relative_to(text_bundle).as_posix())
    assert run(packed, "--check").returncode == 0
    packed.write_bytes(packed.read_bytes()[:-30])
    assert_refused(run(packed), "is no bundle")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../out.txt", "x")
    assert_refused(run(packed), "outside")
    assert not (tmp_path / "out.txt").exists()


def test_no_damage_to_a_manifest_is_more_than_a_line(
    run: Run, text_bundle: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(text_bundle, tmp_path / "copy"))
    broken = host_cases.damaged_manifests(
        json.loads((folder / "manifest.json").read_bytes()), 3, 400
    )
    (tmp_path / "broken.json").write_text(
        json.dumps([content.decode("latin-1") for content in broken]), "utf-8"
    )
    done = run(folder, "--fuzz", tmp_path / "broken.json")
    assert re.fullmatch(r"[0-4]{400}\n", done.stdout), done.stdout + done.stderr
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["load", "initialState", "step", "encode", "sample", "generate"])
def test_the_names_are_those_of_every_example(name: str) -> None:
    text = "\n".join(path.read_text() for path in (CORE / "main").rglob("*.kt"))
    assert re.search(rf"fun (Model\.)?{name}\(", text)


@pytest.mark.parametrize("kind", host_cases.PROMISES)
def test_a_file_is_held_to_what_the_manifest_promises(
    run: Run, text_bundle: Path, tmp_path: Path, kind: str
) -> None:
    edit, artifact, *_ = host_cases.PROMISES[kind]
    folder = Path(shutil.copytree(text_bundle, tmp_path / "copy"))
    host_cases.edit(folder, edit)
    done = run(folder, "--check", "--artifact", artifact, runtime=PIPE)
    host_cases.assert_promise(done, kind)


def test_no_tensor_name_is_written_in_the_code(text_bundle: Path, caption_bundle: Path) -> None:
    sources = [*(CORE / "main").rglob("*.kt"), *(ROOT / "app").rglob("*.kt")]
    sources = [
        path for path in sources if path.name != "Vectors.kt"
    ]  # sampler.json has a field named tokens
    literals = {
        name for path in sources for name in re.findall(r'"([A-Za-z_]+)"', path.read_text())
    }
    for folder in (text_bundle, caption_bundle):
        for graph in Bundle.open(folder).manifest.contract.graphs:
            assert not literals & {tensor.name for tensor in (*graph.inputs, *graph.outputs)}


def test_a_model_that_asks_for_more_than_itself_is_refused(
    run: Run, text_bundle: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(text_bundle, tmp_path / "b"))
    for kind, says in host_cases.FOREIGN.items():
        host_cases.replace_artifact(folder, host_cases.foreign_model(text_bundle, kind))
        assert_refused(run(folder, "--length", 1, runtime=PIPE), says)


def test_vectors_without_any_fail(run: Run, text_bundle: Path, tmp_path: Path) -> None:
    for key, row in (("uniforms", "uniforms"), ("tokens", "sampler")):
        folder = Path(shutil.copytree(text_bundle, tmp_path / key))
        host_cases.empty_vectors(folder, key)
        done = run(folder, "--check")
        assert done.returncode == 1, done.stderr
        assert [
            line.split()[0] for line in done.stdout.splitlines() if line.endswith(" FAILED")
        ] == [row]


def test_a_bundle_without_a_recorded_run_is_checked_as_far_as_it_goes(
    run: Run, text_bundle: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(text_bundle, tmp_path / "b"))
    host_cases.edit(folder, lambda manifest: manifest.update(golden=None))
    done = run(folder, "--check", runtime=PIPE)
    said = done.stdout.splitlines()
    assert (done.returncode, said[0]) == (
        0,
        "golden           - 0 not run; the bundle has no recorded run",
    ), done.stderr
    assert [line.split()[0] for line in said[1:]] == ["uniforms", "sampler"]


def test_a_prompt_longer_than_one_call_takes_is_read_as_a_whole(
    run: Run, text_bundle: Path
) -> None:
    prompt = "the quick brown " * 40
    expected = write_text(text_bundle, prompt, length=20, temperature=0, artifact="onnx/step.onnx")
    done = run(
        text_bundle, "--prompt", prompt, "--length", 20, "--temperature", 0, "--json", runtime=PIPE
    )
    assert json.loads(done.stdout)["tokens"] == expected["tokens"], done.stderr
