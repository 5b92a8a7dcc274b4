"""Captions in C: those of the library's own search over the same files, for every width."""

from __future__ import annotations

import ctypes
import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from probes import wanted

from edgernn.bundle import Bundle
from edgernn.decoding.beam import Hypothesis
from edgernn.sessions.c_folder import checked_sources
from edgernn.sessions.compiler import build, find_compiler
from edgernn.sessions.model import Model

_PROBE = Path(__file__).parent / "captions_probe.c"
NULL, OPTION, LOGITS = -1, -2, -3
Found = list[tuple[tuple[int, ...], float, float, bool]]


@pytest.fixture(scope="module")
def library(caption_bundle: Bundle) -> ctypes.CDLL:
    """The bundle's files and those that search."""
    files = dict[str, bytes]()
    for graph in ("step", "encode"):
        files |= checked_sources(caption_bundle.path(f"c/{graph}"))
    captions = {
        name: caption_bundle.path(f"c/text/{name}").read_bytes()
        for name in ("captions.h", "captions.c")
    }
    probe = _PROBE.read_bytes().replace(b'#include "captions.c"', captions.pop("captions.c"))
    return build({**files, **captions, "probe.c": probe}, find_compiler())


def see(library: ctypes.CDLL, picture: np.ndarray) -> None:
    image = np.ascontiguousarray(picture)
    assert library.probe_see(ctypes.c_void_p(image.ctypes.data)) == 0


def search(
    library: ctypes.CDLL, *, width: int, length: int, most: int, normalisation: float = 0.7
) -> Found | int:
    """What is found, or the code; ``most`` is the length of the header."""
    tokens, numbers = np.full((9, most), -1, np.int64), np.full((9, 4), -1.0)
    count = library.probe_search(
        width,
        length,
        ctypes.c_double(normalisation),
        ctypes.c_void_p(tokens.ctypes.data),
        ctypes.c_void_p(numbers.ctypes.data),
    )
    if count < 0:
        assert (tokens == -1).all()
        return int(count)
    return [
        (tuple(row[: int(n[2])].tolist()), float(n[0]), float(n[1]), bool(n[3]))
        for row, n in zip(tokens[:count], numbers[:count], strict=True)
    ]


def compare(found: Found | int, expected: list[Hypothesis]) -> None:
    assert isinstance(found, list)
    assert [(own[0], own[3]) for own in found] == [(h.tokens, h.finished) for h in expected]
    for own, h in zip(found, expected, strict=True):
        assert own[1] == pytest.approx(h.log_probability, rel=1e-12)
        assert own[2] == pytest.approx(h.score, rel=1e-12)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 9])
def test_captions_of_every_width(
    caption_bundle: Bundle,
    caption_model: Model,
    library: ctypes.CDLL,
    pictures: np.ndarray,
    width: int,
) -> None:
    decoding = caption_bundle.manifest.decoding_defaults
    texts = set()
    for picture in pictures:
        see(library, picture)
        found = search(library, width=width, length=decoding.length, most=decoding.length)
        compare(found, wanted(caption_model, picture, decoding, width=width))
        assert isinstance(found, list)
        texts.add(found[0][0])
    assert len(texts) > 1, "captions of different pictures differ"


def test_a_shorter_length_than_the_headers(
    caption_bundle: Bundle, caption_model: Model, library: ctypes.CDLL, pictures: np.ndarray
) -> None:
    most = caption_bundle.manifest.decoding_defaults.length
    decoding = caption_bundle.manifest.decoding_defaults.model_copy(update={"length": 2})
    see(library, pictures[0])
    found = search(library, width=3, length=2, most=most)
    compare(found, wanted(caption_model, pictures[0], decoding, width=3))


def test_what_is_refused(
    caption_bundle: Bundle, library: ctypes.CDLL, pictures: np.ndarray
) -> None:
    image = np.ascontiguousarray(pictures[0])
    assert library.probe_null(ctypes.c_void_p(image.ctypes.data)) == 0
    see(library, pictures[0])
    most = caption_bundle.manifest.decoding_defaults.length
    for width, length in ((0, most), (-1, most), (1, 0), (1, most + 1)):
        assert search(library, width=width, length=length, most=most) == OPTION
    for normalisation in (-0.1, math.nan, math.inf):
        found = search(library, width=1, length=most, most=most, normalisation=normalisation)
        assert found == OPTION
    library.probe_spoil(ctypes.c_double(math.nan))
    for width in (1, 3):
        assert search(library, width=width, length=most, most=most) == LOGITS


def test_the_logarithm_is_within_a_unit_in_the_last_place(library: ctypes.CDLL) -> None:
    random = np.random.default_rng(5)
    x = np.concatenate([1 + random.random(20000) * scale for scale in (1e-9, 0.1, 1.0, 100.0, 1e5)])
    x = np.concatenate([x, random.random(20000) + 1e-9, [1.0, 2.0, 0.5]])
    y = np.empty_like(x)
    library.probe_log(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data), len(x))
    exact = np.array([math.log(value) for value in x])
    assert (np.abs(y - exact) <= np.spacing(np.abs(exact))).all()


def test_the_bundle_carries_them_and_they_call_nothing_else(
    caption_bundle: Bundle, tmp_path: Path
) -> None:
    files = {
        **checked_sources(caption_bundle.path("c/step")),
        **checked_sources(caption_bundle.path("c/encode")),
    }
    for name in ("captions.h", "captions.c"):
        files[name] = caption_bundle.path(f"c/text/{name}").read_bytes()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    compiler = find_compiler()
    flags = [flag for flag in compiler.flags if flag not in ("-shared", "-fPIC")]
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    command = [*compiler.command, *flags, *strict, "-c", "captions.c", "-o", "captions.o"]
    subprocess.run(command, cwd=tmp_path, check=True)
    told = subprocess.run(
        ["nm", "-u", "captions.o"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert set(told.stdout.split()) - {"U"} == {"net_encode", "net_step"}


_AROUND = """
#include "captions.h"

int example(const uint8_t *image, int64_t *tokens)
{{
{body}
    if (refused || count != 3) {{ return -1; }}
    for (int32_t i = 0; i < found[0].count; ++i) {{ tokens[i] = found[0].tokens[i]; }}
    return found[0].count;
}}
"""


def test_the_manuals_example(
    caption_bundle: Bundle, caption_model: Model, pictures: np.ndarray
) -> None:
    manual = (Path(__file__).parents[4] / "export" / "README.md").read_text(encoding="utf-8")
    (body,) = (b for b in re.findall(r"```c\n(.*?)```", manual, re.DOTALL) if "net_caption" in b)
    files = {
        **checked_sources(caption_bundle.path("c/step")),
        **checked_sources(caption_bundle.path("c/encode")),
    }
    for name in ("captions.h", "captions.c"):
        files[name] = caption_bundle.path(f"c/text/{name}").read_bytes()
    library = build({**files, "app.c": _AROUND.format(body=body).encode()}, find_compiler())
    decoding = caption_bundle.manifest.decoding_defaults
    image, tokens = np.ascontiguousarray(pictures[1]), np.zeros(decoding.length, np.int64)
    count = library.example(ctypes.c_void_p(image.ctypes.data), ctypes.c_void_p(tokens.ctypes.data))
    best = wanted(caption_model, pictures[1], decoding, width=3)[0]
    assert tuple(tokens[:count].tolist()) == best.tokens
