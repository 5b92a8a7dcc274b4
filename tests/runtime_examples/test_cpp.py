"""The C++ example: its parts under sanitizers, and the whole program on the library of the
Python wheel.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import host_cases
import numpy as np
import pytest
from hosts import Command, compile_cpp

from edgernn.bundle import Bundle
from edgernn.contract.random_numbers import uniform_numbers
from edgernn.decoding.captions import search_caption
from edgernn.decoding.sampling import Sampler
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.sessions.model import open_model

LOOSE = ReducedOptions(
    budget=Budget(perplexity="900%")
)  # untrained weights: what they lose is not the point


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


def test_the_parts_pass_their_tests_under_sanitizers(
    unit: Path, text: Path, caption_bundle: Path
) -> None:
    command = [str(unit), str(text), str(caption_bundle)]
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


def test_the_caption_is_the_reference_caption(
    cpp_program: Command, caption_bundle: Path, pictures: np.ndarray, tmp_path: Path
) -> None:
    bundle = Bundle.open(caption_bundle)
    sessions = open_model(bundle, "onnx/step.onnx")
    for index, picture in enumerate(pictures[:3]):
        path = tmp_path / f"{index}.ppm"
        path.write_bytes(b"P6\n32 32\n255\n" + picture.tobytes())
        made = json.loads(cpp_program.good(caption_bundle, "--image", path, "--json"))
        expected = search_caption(sessions, picture[None], bundle.manifest.decoding).tokens
        assert made["tokens"] == list(expected)


def test_a_captioner_asks_for_a_picture_that_is_one(
    cpp_program: Command, text: Path, caption_bundle: Path, tmp_path: Path
) -> None:
    assert "--image" in cpp_program.refusal(caption_bundle)
    assert "--prompt" in cpp_program.refusal(text, "--image", "x.ppm")
    for name, data, part in (
        ("a", b"GIF89a", "PPM"),
        ("b", b"P6 8 8 255\n" + bytes(192), "32x32"),
        ("c", b"P6 32 32 255\n", "cut"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        assert part in cpp_program.refusal(caption_bundle, "--image", path)


@pytest.mark.parametrize("kind", host_cases.KINDS)
def test_every_kind_of_tokens_is_read_as_the_library_reads_it(
    unit: Path, text: Path, tmp_path: Path, kind: str
) -> None:
    tokenizer = host_cases.tokenizer_of(kind)
    folder = host_cases.with_tokenizer(text, tmp_path / "b", tokenizer)
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
    unit: Path, text: Path, tmp_path: Path, pattern: str
) -> None:
    tokenizer = host_cases.with_pattern(host_cases.tokenizer_of("word"), pattern)
    folder = host_cases.with_tokenizer(text, tmp_path / "b", tokenizer)
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


def test_no_damage_is_more_than_a_line(
    unit: Path, cpp_program: Command, copy: Path, tmp_path: Path
) -> None:
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
        done = cpp_program.run(copy, "--check")
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
