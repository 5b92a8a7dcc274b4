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
from hosts import Command

from edgernn.bundle import Bundle
from edgernn.decoding.captions import search_caption
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


def test_the_parts_pass_their_tests_under_sanitizers(
    cpp_parts: Command, text: Path, caption_bundle: Path
) -> None:
    assert cpp_parts.good(text, caption_bundle) == "ok\n"


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


def test_no_damage_is_more_than_a_line(
    cpp_parts: Command, cpp_program: Command, copy: Path, tmp_path: Path
) -> None:
    """Under sanitizers, hundreds of damaged manifests, tokenizers, recordings and vectors: each
    one line, or it is good.
    """
    manifest = (copy / "manifest.json").read_bytes()
    random = np.random.default_rng(4)

    def fuzz(folder: Path, name: str, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        given = b"".join(struct.pack("<I", len(part)) + part for pair in pairs for part in pair)
        command = [*cpp_parts.words, "--fuzz", str(folder), name]
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
