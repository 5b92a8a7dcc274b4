"""The C++ example: its parts under sanitizers, and the whole program on the library of the
Python wheel.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import host_cases
import numpy as np
import onnxruntime
import pytest
import safetensors.numpy
from hosts import Command, compile_cpp

from edgernn.bundle import Bundle
from edgernn.contract.random_numbers import uniform_numbers
from edgernn.decoding.captions import search_caption
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.sessions.model import open_model
from edgernn.storage import sha256
from edgernn.writing.text import write_text

SOURCES = Path(__file__).resolve().parents[2] / "runtime_examples" / "cpp"
WARNINGS = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic")
LOOSE = ReducedOptions(
    budget=Budget(perplexity="900%")
)  # untrained weights: what they lose is not the point
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def text_bundle(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny LSTM in float32 and int8, a step and a decoder each. Read only."""
    folder = tmp_path_factory.mktemp("bundle") / "text"
    export_bundle(
        checkpoint_folder,
        folder,
        to="onnx",
        precision=("float32", "int8"),
        in_graph=True,
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


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test program of everything but the file that knows the runtime, under sanitizers."""
    target = tmp_path_factory.mktemp("cpp") / "unit"
    return compile_cpp(
        target, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover", "tests/unit.cpp"
    )


@pytest.fixture
def run(cpp_program: Command) -> Run:
    """Run the program on the library of the Python wheel."""
    return cpp_program.run


@pytest.fixture
def copy(text_bundle: Path, tmp_path: Path) -> Path:
    """A bundle to damage."""
    return Path(shutil.copytree(text_bundle, tmp_path / "copy"))


def steps(folder: Path) -> list[str]:
    """The artifacts that this example runs."""
    return [
        a.path
        for a in Bundle.open(folder).manifest.artifacts
        if a.format == "onnx" and a.graph == "step"
    ]


def assert_refused(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Bad input ends with 2 and one line on stderr that has every part."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for part in parts:
        assert part in done.stderr


def edit_manifest(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_the_parts_pass_their_tests_under_sanitizers(
    unit: Path, text_bundle: Path, caption_bundle: Path
) -> None:
    command = [str(unit), str(text_bundle), str(caption_bundle)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stdout + done.stderr


def sampling_cases() -> list[tuple[Sampler, float, np.ndarray]]:
    """Samplers, uniform numbers and logits, some with ties and tokens that must not come."""
    random = np.random.default_rng(11)
    cases = []
    for index in range(300):
        logits = random.normal(0, 3, int(random.integers(1, 40))).astype(np.float32)
        if index % 3 == 0:
            logits = np.round(logits)
        if index % 5 == 0:
            logits[1:][random.random(len(logits) - 1) < 0.3] = -1e30  # as good as never
        sampler = Sampler(
            temperature=float(random.choice([0, 0.3, 0.8, 2])),
            top_k=int(random.choice([0, 1, 3, 100])),
            top_p=float(random.choice([0.2, 0.9, 1])),
        )
        cases.append((sampler, float(random.random()), logits))
    return cases


def test_it_samples_as_the_reference_does(unit: Path) -> None:
    cases = sampling_cases()
    lines = [
        f"{s.temperature} {s.top_k} {s.top_p} {uniform!r} {len(logits)} "
        f"{' '.join(str(float(logit)) for logit in logits)}"
        for s, uniform, logits in cases
    ]
    done = subprocess.run(
        [str(unit), "--sample"],
        input="\n".join(lines),
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    assert [int(line) for line in done.stdout.split()] == [
        s.pick(logits, uniform) for s, uniform, logits in cases
    ]


@pytest.mark.parametrize("fixture", ["text_bundle", "caption_bundle"])
def test_every_step_passes_the_golden_run(
    run: Run, fixture: str, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(fixture)
    assert len(steps(folder)) == 2
    for artifact in steps(folder):
        done = run(folder, "--check", "--artifact", artifact)
        assert done.returncode == 0, (artifact, done.stdout + done.stderr)
        assert all(line.endswith(" ok") for line in done.stdout.splitlines())
        assert ("h_next[0]" if "int8" in artifact else "h_next ") in done.stdout


@pytest.mark.parametrize("kind", host_cases.PROMISES)
def test_a_file_is_held_to_what_the_manifest_promises(run: Run, copy: Path, kind: str) -> None:
    edit, artifact, *_ = host_cases.PROMISES[kind]
    edit_manifest(copy, edit)
    host_cases.assert_promise(run(copy, "--check", "--artifact", artifact), kind)


def test_another_recording_fails_the_check(run: Run, copy: Path) -> None:
    golden = copy / "golden.safetensors"
    data = bytearray(golden.read_bytes())
    data[-4:] = np.float32(9).tobytes()  # the last value of the last tensor
    golden.write_bytes(data)
    edit_manifest(copy, lambda m: m["files"]["golden.safetensors"].update(sha256=sha256(golden)))
    done = run(copy, "--check")
    assert done.returncode == 1, done.stdout + done.stderr
    assert " FAILED" in done.stdout


def test_greedy_text_is_the_reference_text(run: Run, text_bundle: Path) -> None:
    expected = write_text(
        text_bundle, "the quick", length=500, temperature=0, artifact="onnx/step.onnx"
    )
    done = run(text_bundle, "--prompt", "the quick", "--length", 500, "--temperature", 0, "--json")
    found = json.loads(done.stdout)
    assert (found["tokens"], found["text"]) == (expected["tokens"], expected["text"])
    assert found["artifact"] == "onnx/step.onnx"
    streamed = run(text_bundle, "--prompt", "the quick", "--length", 500, "--temperature", 0)
    assert streamed.stdout == "the quick" + expected["text"] + "\n"


def test_a_seed_writes_the_same_text_again(run: Run, text_bundle: Path) -> None:
    first, again, other = (
        run(text_bundle, "--length", 60, "--temperature", 1, "--seed", seed).stdout
        for seed in (5, 5, 6)
    )
    assert first == again != other
    assert len(first) == 61


def test_the_caption_is_the_reference_caption(
    run: Run, caption_bundle: Path, pictures: np.ndarray, tmp_path: Path
) -> None:
    bundle = Bundle.open(caption_bundle)
    sessions = open_model(bundle, "onnx/step.onnx")
    for index, picture in enumerate(pictures[:3]):
        path = tmp_path / f"{index}.ppm"
        path.write_bytes(b"P6\n32 32\n255\n" + picture.tobytes())
        done = run(caption_bundle, "--image", path, "--json")
        expected = search_caption(sessions, picture[None], bundle.manifest.decoding).tokens
        assert json.loads(done.stdout)["tokens"] == list(expected), done.stderr


def test_a_step_is_timed(run: Run, text_bundle: Path) -> None:
    found = json.loads(run(text_bundle, "--time", 20, "--artifact", "onnx/step-int8.onnx").stdout)
    assert found["artifact"] == "onnx/step-int8.onnx"
    assert found["steps"] == 20
    assert found["median_us"] > 0


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ((), ("no bundle given",)),
        (("--nonsense",), ("--nonsense",)),
        (("BUNDLE", "--prompt", "a€"), ('"€"', "leave it out")),
        (("BUNDLE", "--artifact", "onnx/none.onnx"), ("none.onnx", "onnx/step.onnx")),
        (("BUNDLE", "--artifact", "onnx/generate.onnx"), ("generate.onnx", "onnx/step.onnx")),
        (("BUNDLE", "--top-p", "1.5"), ("--top-p",)),
        (("BUNDLE", "--length", "many"), ("--length", "many")),
        (("BUNDLE", "--image", "x.ppm"), ("--prompt",)),
    ],
)
def test_misuse_is_one_line(
    run: Run, text_bundle: Path, arguments: Sequence[str], parts: Sequence[str]
) -> None:
    assert_refused(run(*(text_bundle if word == "BUNDLE" else word for word in arguments)), *parts)


def test_a_captioner_asks_for_a_picture_that_is_one(
    run: Run, caption_bundle: Path, tmp_path: Path
) -> None:
    assert_refused(run(caption_bundle), "--image")
    for name, data, part in (
        ("a", b"GIF89a", "PPM"),
        ("b", b"P6 8 8 255\n" + bytes(192), "32x32"),
        ("c", b"P6 32 32 255\n", "cut"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        assert_refused(run(caption_bundle, "--image", path), part)


def test_a_missing_or_damaged_bundle_is_refused(run: Run, copy: Path) -> None:
    assert_refused(run(copy / "nowhere"), "is not there")
    edit_manifest(copy, lambda m: m.update(schema_version=3))
    assert_refused(run(copy), "schema_version 3")
    (copy / "manifest.json").write_text("{")
    assert_refused(run(copy), "damaged")


def test_what_differs_from_the_manifest_is_refused(run: Run, copy: Path) -> None:
    model = copy / "onnx" / "step.onnx"
    data = bytearray(model.read_bytes())
    data[100] ^= 1
    model.write_bytes(data)
    assert_refused(run(copy), "step.onnx", "SHA-256")
    model.write_bytes(data[:-1])
    assert_refused(run(copy), "step.onnx", "bytes")
    edit_manifest(copy, lambda m: m["artifacts"][0].update(path="../step.onnx"))
    assert_refused(run(copy), "outside")


def test_what_this_example_cannot_read_is_named(run: Run, copy: Path) -> None:
    edit_manifest(copy, lambda m: m["artifacts"][0]["narrowing"].update(dtypes={"h": "float16"}))
    assert_refused(run(copy), "float16", "choose another artifact")
    edit_manifest(copy, lambda m: m["artifacts"][0]["narrowing"].update(dtypes={}))
    edit_manifest(copy, lambda m: m["tokenizer"].update(kind="custom"))
    assert_refused(run(copy), "of kind custom", "char, byte, word, bpe or caption")
    edit_manifest(
        copy, lambda m: m["tokenizer"].update(kind="char", ids=m["tokenizer"]["ids"][::-1])
    )
    assert_refused(run(copy), "does not encode")


@pytest.mark.parametrize("kind", host_cases.KINDS)
def test_every_kind_of_tokens_is_read_as_the_library_reads_it(
    unit: Path, text_bundle: Path, tmp_path: Path, kind: str
) -> None:
    tokenizer = host_cases.tokenizer_of(kind)
    folder = host_cases.with_tokenizer(text_bundle, tmp_path / "b", tokenizer)
    texts, lists = host_cases.texts(5, 400), host_cases.id_lists(tokenizer, 6, 200)
    command = [str(unit), "--tokens", str(folder)]
    done = subprocess.run(
        command,
        input=json.dumps([*texts, *lists]).encode(),
        capture_output=True,
        check=False,
        timeout=120,
    )
    lines = done.stdout.decode().splitlines()
    assert len(lines) == len(texts) + len(lists), (done.stdout, done.stderr)
    refused = 0
    for line, given in zip(lines, texts, strict=False):
        if kind == "caption" and line == "!":
            refused += 1  # what NFKC and lower case may change is refused, never guessed
            assert not given.isascii(), given
            continue
        wanted = host_cases.reference(tokenizer, given)
        assert line == ("!" if wanted is None else "".join(f"{token} " for token in wanted)), repr(
            given
        )
    assert refused < len(texts) * 0.9
    for line, ids in zip(lines[len(texts) :], lists, strict=True):
        pieces = [
            bytes.fromhex(piece).decode() for piece in line.split("|")
        ]  # no piece splits a character
        assert "".join(pieces) == tokenizer.decode(ids)


def test_random_numbers_are_those_of_the_library(unit: Path) -> None:
    places = [(1234567, position) for position in range(5)] + [
        (0, 0),
        (2**64 - 1, 3),
        (7, 2**53),
        (2**53, 11),
    ]
    lines = "".join(f"{seed} {position}\n" for seed, position in places)
    done = subprocess.run(
        [str(unit), "--uniform"],
        input=lines,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    wanted = [float(uniform_numbers(seed, 1, position=position)[0]) for seed, position in places]
    assert [float(line) for line in done.stdout.split()] == wanted


@pytest.mark.parametrize("pattern", host_cases.PATTERNS)
def test_patterns_cut_as_those_of_the_library(
    unit: Path, text_bundle: Path, tmp_path: Path, pattern: str
) -> None:
    tokenizer = host_cases.with_pattern(host_cases.tokenizer_of("word"), pattern)
    folder = host_cases.with_tokenizer(text_bundle, tmp_path / "b", tokenizer)
    host_cases.edit(folder, lambda manifest: manifest["tokenizer"].update(kind="word"))
    texts = host_cases.texts(9, 300, newest=0xE001)
    done = subprocess.run(
        [str(unit), "--tokens", str(folder)],
        input=json.dumps(texts),
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    wanted = [host_cases.reference(tokenizer, given) or [] for given in texts]
    assert done.stdout.splitlines() == ["".join(f"{token} " for token in ids) for ids in wanted], (
        done.stderr
    )


def test_one_seed_writes_the_text_of_the_library(run: Run, text_bundle: Path) -> None:
    for seed in (7, 2**64 - 1):
        wanted = write_text(
            text_bundle,
            "the quick",
            length=500,
            temperature=0.8,
            seed=seed,
            artifact="onnx/step.onnx",
        )
        done = run(
            text_bundle,
            "--prompt",
            "the quick",
            "--length",
            500,
            "--temperature",
            0.8,
            "--seed",
            seed,
            "--json",
        )
        assert json.loads(done.stdout)["tokens"] == wanted["tokens"]


@pytest.mark.parametrize("seed", ["-1", "1.5", str(2**64), "x", "", "0x10"])
def test_seeds_that_are_none_are_refused(run: Run, text_bundle: Path, seed: str) -> None:
    assert_refused(run(text_bundle, "--seed", seed), "0 to 18446744073709551615")


def test_the_vectors_of_the_sampler_are_replayed(run: Run, copy: Path) -> None:
    names = [line.split()[0] for line in run(copy, "--check").stdout.splitlines()]
    assert names[-3:] == ["uniforms", "sampler", "tokenizer"]
    whole = (copy / "sampler.json").read_bytes()
    vectors = json.loads(whole)
    vectors["uniforms"][0]["values"][0] += 2.0**-53
    vectors["tokens"][-1]["token"] += 1
    host_cases.replace(copy, "sampler.json", json.dumps(vectors).encode())
    done = run(copy, "--check")
    assert (done.returncode, done.stderr) == (1, "")
    failed = [line.split() for line in done.stdout.splitlines() if line.endswith(" FAILED")]
    assert failed == [["uniforms", "1.0e+00", "0", "FAILED"], ["sampler", "1.0e+00", "0", "FAILED"]]
    for content in (
        b"",
        b"{}",
        whole.replace(b"splitmix64", b"other"),
        whole.replace(b'"top_k":', b'"top_k": -1, "x":'),
    ):
        host_cases.replace(copy, "sampler.json", content)
        done = run(copy, "--check")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    edit_manifest(copy, lambda m: m["files"].pop("sampler.json"))
    assert "is not among the files of the manifest" in run(copy, "--check").stderr
    edit_manifest(copy, lambda m: m.pop("sampler"))
    assert run(copy, "--check").returncode == 0


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx"])
def test_a_short_record_of_the_logits_is_replayed(run: Run, copy: Path, artifact: str) -> None:
    host_cases.shorten_golden(copy)
    done = run(copy, "--check", "--artifact", artifact)
    assert done.returncode == 0, done.stderr
    for name in ("logits.at_columns", "logits.largest", "logits.log_sum"):
        assert name in done.stdout
        tensors = safetensors.numpy.load_file(copy / "golden.safetensors")
        whole = tensors[name].copy()
        tensors[name].flat[-1] += 40
        host_cases.replace(copy, "golden.safetensors", safetensors.numpy.save(tensors))
        done = run(copy, "--check", "--artifact", artifact)
        assert [
            line.split()[0] for line in done.stdout.splitlines() if line.endswith(" FAILED")
        ] == [name]
        host_cases.replace(
            copy, "golden.safetensors", safetensors.numpy.save({**tensors, name: whole})
        )
    tensors = safetensors.numpy.load_file(copy / "golden.safetensors")
    tensors["logits.largest_ids"].flat[3] = 10**6
    host_cases.replace(copy, "golden.safetensors", safetensors.numpy.save(tensors))
    done = run(copy, "--check")
    assert (done.returncode, done.stdout) == (2, "")
    assert "parts of logits that do not fit" in done.stderr


def test_an_older_runtime_is_named(run: Run, copy: Path) -> None:
    edit_manifest(copy, lambda m: m["artifacts"][0].update(requires={"onnxruntime": "99.1"}))
    first, second = steps(copy)
    said = f"{first} needs onnxruntime 99.1 or newer, this is {onnxruntime.__version__}"
    assert_refused(run(copy, "--artifact", first), said)
    assert (
        json.loads(run(copy, "--json", "--length", 1).stdout)["artifact"] == second
    )  # none was named: the next one is taken
    for least in ("1", "1.17", "1.17.0", onnxruntime.__version__):
        edit_manifest(
            copy, lambda m, least=least: m["artifacts"][0].update(requires={"onnxruntime": least})
        )
        assert run(copy, "--artifact", first, "--length", 1).returncode == 0


def test_what_leads_out_of_the_bundle_is_refused(run: Run, copy: Path, tmp_path: Path) -> None:
    outside = tmp_path / "tokenizer.json"
    (copy / "tokenizer.json").rename(outside)
    (copy / "tokenizer.json").symlink_to(outside)
    assert_refused(run(copy), "tokenizer.json, which is outside")
    (copy / "tokenizer.json").unlink()
    outside.rename(copy / "own.json")
    (copy / "tokenizer.json").symlink_to("own.json")
    assert run(copy, "--length", 1).returncode == 0
    (copy / "tokenizer.json").unlink()
    os.mkfifo(copy / "tokenizer.json")
    assert_refused(run(copy), "no plain file")
    edit_manifest(copy, lambda m: m["files"].pop("tokenizer.json"))
    assert_refused(run(copy), "is not among the files of the manifest")


def test_what_is_no_folder_or_says_a_thing_twice_is_refused(
    run: Run, copy: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "b.edgernn"
    packed.write_bytes(b"PK")
    assert_refused(run(packed), f"unzip -q {packed} -d FOLDER")
    path = copy / "manifest.json"
    path.write_text(
        path.read_text("utf-8").replace('"files":', '"golden": null, "files":'), "utf-8"
    )
    assert_refused(run(copy), "every name of an object once")


def test_no_damage_is_more_than_a_line(unit: Path, run: Run, copy: Path, tmp_path: Path) -> None:
    """Under sanitizers, hundreds of damaged manifests, tokenizers, recordings and vectors: each
    one line, or it is good.
    """
    manifest = (copy / "manifest.json").read_bytes()
    random = np.random.default_rng(4)

    def fuzz(folder: Path, name: str, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        given = b"".join(struct.pack("<I", len(part)) + part for pair in pairs for part in pair)
        command = [str(unit), "--fuzz", str(folder), name]
        done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        assert re.fullmatch(r"[0-4]+", done.stderr.decode()), done.stderr[-2000:]
        assert len(done.stderr) == len(pairs)

    tokenizer = (copy / "tokenizer.json").read_bytes()
    broken = host_cases.damaged_manifests(json.loads(manifest), 3, 300)
    broken += [manifest[: int(random.integers(len(manifest)))] for _ in range(20)]
    fuzz(copy, "tokenizer.json", [(content, tokenizer) for content in broken])
    for content in broken[:20]:
        (copy / "manifest.json").write_bytes(content)
        done = run(copy, "--check")
        assert done.returncode in {0, 1, 2}, (content, done.stderr)
        assert done.stderr.count("\n") == (done.returncode == 2), done.stderr
    (copy / "manifest.json").write_bytes(manifest)
    bpe = host_cases.with_tokenizer(copy, tmp_path / "bpe", host_cases.tokenizer_of("bpe"))
    for folder, name in (
        (copy, "golden.safetensors"),
        (copy, "sampler.json"),
        (bpe, "tokenizer.json"),
    ):
        whole, listed = (
            (folder / name).read_bytes(),
            json.loads((folder / "manifest.json").read_bytes()),
        )
        pairs = []
        for _ in range(30):
            data = bytearray(whole)
            at = int(random.integers(min(len(data), 3000)))
            data[at : at + int(random.integers(0, 9))] = random.bytes(int(random.integers(0, 9)))
            listed["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            pairs.append((json.dumps(listed).encode(), bytes(data)))
        fuzz(folder, name, pairs)


@pytest.mark.parametrize("kind", host_cases.FOREIGN)
def test_a_model_that_asks_for_more_than_itself_is_refused(run: Run, copy: Path, kind: str) -> None:
    host_cases.replace_artifact(copy, host_cases.foreign_model(copy, kind))
    assert_refused(run(copy, "--length", "1"), host_cases.FOREIGN[kind])


@pytest.mark.parametrize(("key", "row"), [("uniforms", "uniforms"), ("tokens", "sampler")])
def test_vectors_without_any_fail(run: Run, copy: Path, key: str, row: str) -> None:
    host_cases.empty_vectors(copy, key)
    done = run(copy, "--check")
    assert (done.returncode, done.stderr) == (1, "")
    assert [line.split()[:2] for line in done.stdout.splitlines() if line.endswith(" FAILED")] == [
        [row, "inf"]
    ]


def test_a_bundle_without_a_recorded_run_is_checked_as_far_as_it_goes(run: Run, copy: Path) -> None:
    edit_manifest(copy, lambda manifest: manifest.pop("golden"))
    done = run(copy, "--check")
    said = done.stdout.splitlines()
    assert (done.returncode, said[0]) == (
        0,
        "golden           - 0 not run; the bundle has no recorded run",
    )
    assert [line.split()[0] for line in said[1:]] == ["uniforms", "sampler", "tokenizer"]


def test_a_prompt_longer_than_one_call_takes_is_read_as_a_whole(
    run: Run, text_bundle: Path
) -> None:
    prompt = "the quick brown " * 40
    expected = write_text(text_bundle, prompt, length=20, temperature=0, artifact="onnx/step.onnx")
    done = run(text_bundle, "--prompt", prompt, "--length", 20, "--temperature", 0, "--json")
    assert json.loads(done.stdout)["tokens"] == expected["tokens"], done.stderr
