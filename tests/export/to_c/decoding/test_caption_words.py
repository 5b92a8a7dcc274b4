"""The words of captions in C, and the program that says what is on a picture."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from probes import wanted

from edgernn.bundle import Bundle
from edgernn.contract import Decoding
from edgernn.data.pictures.caption_ids import caption_text
from edgernn.data.text.spaced import spaced_pipeline
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.to_c.decoding.companions import companions
from edgernn.sessions.compiler import build, find_compiler
from edgernn.sessions.model import Model


def texts_of(made: dict[str, bytes], tokens: list[list[int]], length: int) -> list[bytes | int]:
    """What ``words.c`` makes of tokens; the size where there is no room."""
    own = {name: made[name] for name in ("captions.h", "words.c")}
    empty = dict.fromkeys(("step.h", "encode.h"), b"#include <stdint.h>\n")
    types = b"typedef struct { int x; } net_state, net_encode_inputs;\n"
    library = build({**own, **empty, "step.h": empty["step.h"] + types}, find_compiler())

    class Caption(ctypes.Structure):
        _fields_ = (
            ("numbers", ctypes.c_double * 2),
            ("count", ctypes.c_int32),
            ("finished", ctypes.c_int32),
            ("tokens", ctypes.c_int64 * length),
        )

    found: list[bytes | int] = []
    for row in tokens:
        caption, text = Caption(count=len(row)), ctypes.create_string_buffer(b"?" * 99, 200)
        caption.tokens[: len(row)] = row
        size = library.net_caption_text(ctypes.byref(caption), text, 200)
        assert size < 0 or size == len(text.value)
        found.append(text.value if size >= 0 else size)
        if size > 0:
            assert library.net_caption_text(ctypes.byref(caption), text, size) == size
            assert text.value == found[-1], "nothing is written where there is no room"
    assert library.net_caption_text(None, text, 200) == -1
    return found


def test_words_are_the_librarys(caption_bundle: Bundle, caption_tokenizer: Tokenizer) -> None:
    manifest = caption_bundle.manifest
    length, size = manifest.decoding_defaults.length, caption_tokenizer.vocabulary_size
    made = companions(manifest.contract, manifest.decoding, caption_tokenizer, {})
    random = np.random.default_rng(3)
    rows = [random.integers(0, size, random.integers(0, length + 1)).tolist() for _ in range(200)]
    wanted = [caption_text(caption_tokenizer, row, manifest.decoding).encode() for row in rows]
    assert texts_of(made, rows, length) == wanted
    outside = [[size], [-1], [0, 2**40]]
    assert texts_of(made, outside, length) == [-1] * 3


def test_words_of_others(caption_bundle: Bundle) -> None:
    words = ["é", "\n", "a", 'b"?', "\\c", "</s>", "<unk>", "##d"]
    library = spaced_pipeline({word: i for i, word in enumerate(words)}, unknown="<unk>")
    tokenizer = Tokenizer(library.to_str())
    assert tokenizer.kind == "spaced"
    manifest = caption_bundle.manifest
    decoding = Decoding(start=(5,), stop=(5,), suppress=(), length=7)
    made = companions(manifest.contract, decoding, tokenizer, {})
    random = np.random.default_rng(3)
    rows = [[0, *random.integers(0, len(words), random.integers(0, 7)).tolist()] for _ in range(99)]
    wanted = [caption_text(tokenizer, row, decoding).encode() for row in rows]
    assert texts_of(made, rows, 7) == wanted


@pytest.fixture(scope="module")
def program(caption_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of the bundle."""
    out = tmp_path_factory.mktemp("program") / "caption"
    flags = ["-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Wpedantic"]
    graphs = [
        f"c/{name}/{name}{end}" for name in ("step", "encode") for end in (".c", ".weights.S")
    ]
    texts = [f"c/text/{name}.c" for name in ("captions", "words", "caption")]
    places = [f"-Ic/{name}" for name in ("step", "encode", "text")]
    command = [*find_compiler().command, *flags, *places, *graphs, *texts]
    subprocess.run([*command, "-o", out], cwd=caption_bundle.folder, check=True)
    return out


def test_the_program(
    caption_bundle: Bundle,
    caption_model: Model,
    program: Path,
    caption_tokenizer: Tokenizer,
    pictures: np.ndarray,
    tmp_path: Path,
) -> None:
    decoding = caption_bundle.manifest.decoding_defaults
    (tmp_path / "p").write_bytes(pictures[2].tobytes())
    for words, width in (((), 3), (("1",), 1), (("5",), 5)):
        done = subprocess.run([program, tmp_path / "p", *words], capture_output=True, check=True)
        best = wanted(caption_model, pictures[2], decoding, width=width)[0]
        text = caption_text(caption_tokenizer, best.tokens, decoding)
        assert text
        assert done.stdout.decode() == f"{text}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "expected PICTURE"),
        (["p", "0"], "expected PICTURE"),
        (["p", "17"], "expected PICTURE"),
        (["p", "x"], "expected PICTURE"),
        (["none"], "the picture cannot be opened"),
        (["p"], "the picture has fewer bytes, expected 3072"),
        (["long"], "the picture has more bytes, expected 3072"),
    ],
)
def test_bad_arguments(program: Path, words: list[str], told: str, tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(bytes(3071))
    (tmp_path / "long").write_bytes(bytes(3073))
    done = subprocess.run([program, *words], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"error: {told}")
    assert done.stderr.count(b"\n") == 1
