"""Kernels for sets of instructions: the bits of whole numbers on every path, compiler and level."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edgernn.contract import FileContract
from edgernn.export.to_c.kernels.table import texts
from edgernn.export.to_c.matrices import IntegerMatrix, padded
from edgernn.sessions.compiler import FLAGS, Compiler, build

KINDS = [(8, 16), (8, 8), (8, 7), (4, 16), (4, 8)]
SIZES = [(1, 1, 16), (16, 17, 32), (33, 100, 32), (80, 200, 128), (65, 300, 256), (70, 33, 64)]
SIZES += [(70, 75, 25)]  # N, K, block
PATHS = {  # name → flags; what the processor must have; what only that path's text has
    "portable": (("-U__SSE2__",), (), "int32_t sums[16]"),
    "sse2": ((), ("sse2",), "_mm_madd_epi16(low, own)"),
    "avx2": (("-mavx2",), ("avx2",), "_mm256_maddubs_epi16("),
    "avx512vnni": (
        ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni"),
        ("avx512bw", "avx512vl", "avx512_vnni"),
        "_mm512_dpbusd_epi32(",
    ),
}
BUILDS = [
    (("gcc", "-O2"), "portable"),
    (("gcc", "-O3"), "avx2"),
    (("gcc", "-O3"), "avx512vnni"),
    *((("clang-14", "-O2"), path) for path in PATHS),
    (("gcc", "-O3"), "sse2"),
    (("gcc", "-O1"), "avx2"),
    (("clang-14", "-O1"), "avx512vnni"),
]


def compiler_of(named: tuple[str, str], path: str) -> Compiler:
    """Return the compiler ``named``, at its level, for the instructions of ``path``; skip the test
    where the machine lacks one of them.
    """
    command, level = named
    flags, needed, _ = PATHS[path]
    if shutil.which(command) is None:
        pytest.skip(f"this machine has no {command}")
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        told = ""
    if "x86" not in subprocess.run([command, "-dumpmachine"], capture_output=True, text=True,
                                   check=True).stdout:  # fmt: skip
        pytest.skip("this machine is no x86-64")
    if missing := [name for name in needed if f" {name} " not in told.replace("\n", " ")]:
        pytest.skip(f"this processor has no {missing[0]}")
    wanted = (*(f for f in FLAGS if not f.startswith("-O")), level, "-march=x86-64", *flags)
    return Compiler((command,), wanted, command)


def text_of() -> str:
    """Return all kernels, and what a library shows of them."""
    names = [f"{way}_{bits}_{own}" for bits, own in KINDS for way in ("product", "panels")]
    parts = ["#include <stdint.h>", *texts([*names, "quantise_16", "quantise_8"])]
    for bits, own in KINDS:
        q = "int16_t" if own == 16 else "int8_t"
        parts.append(
            f"void run_{bits}_{own}(float *y, const void *w, const {q} *q, float unit, int depth,"
            f" int block, int rows)\n"
            f"{{ product_{bits}_{own}(y, w, q, unit, depth, block, rows); }}\n"
            f"int panels_of_{bits}_{own}(float *y, int apart, const unsigned char *w, const {q} *q,"
            f" float unit, int depth, int block, int count)\n"
            f"{{ return"
            f" (int)(panels_{bits}_{own}(y, apart, w, q, unit, depth, block, count) - w); }}"
        )
    parts += [
        f"void round_{bits}(int{bits}_t *q, const float *x, int n, float inverse)\n"
        f"{{ net_round_{bits}(q, x, n, inverse); }}"
        for bits in (16, 8)
    ]
    parts.append("uint32_t peak(const float *x, int n) { return net_peak(7, x, n); }")
    parts.append("float unit(uint32_t peak) { return net_unit(peak, 127.0f); }")
    parts.append("float inverse(uint32_t peak) { return net_inverse(peak, 127.0f); }")
    return "\n".join(parts)


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@pytest.fixture(params=BUILDS, ids=lambda own: f"{own[0][0]}{own[0][1]}-{own[1]}")
def library(request: pytest.FixtureRequest) -> ctypes.CDLL:
    return build({"kernels.c": text_of().encode()}, compiler_of(*request.param))


def expected(
    matrix: IntegerMatrix, bias: np.ndarray, q: np.ndarray, unit: np.float32
) -> np.ndarray:
    """Return the sums in whole numbers, and in float32 what comes after them."""
    made = np.zeros(matrix.rows, np.float32)
    for at in range(0, matrix.depth, matrix.block):
        own = slice(at, at + matrix.block)
        sums = matrix.integers[:, own].astype(np.int64) @ q[own].astype(np.int64)
        made = made + matrix.scales[:, at // matrix.block] * sums.astype(np.float32)
    return bias + unit * made


@pytest.mark.parametrize("kind", KINDS, ids=lambda own: f"w{own[0]}a{own[1]}")
def test_products_have_the_bits_of_whole_numbers(
    library: ctypes.CDLL, kind: tuple[int, int]
) -> None:
    bits, own = kind
    draw = np.random.default_rng(8)
    low, most = -(1 << (bits - 1)), (1 << (own - 1)) - 1
    for rows, depth, block in SIZES:
        extremes = draw.choice([low, -low - 1], size=(rows, depth))
        values = draw.integers(low, -low, size=(rows, depth))
        for chosen in (extremes, values):
            scales = draw.normal(size=(rows, -(-depth // block))).astype(np.float32)
            matrix = IntegerMatrix(chosen.astype(np.int8), scales, bits, block)
            bias = draw.normal(size=rows).astype(np.float32)
            blob = np.frombuffer(matrix.packed(bias, sums=bits == 8 and own < 16), np.uint8)
            levels = min(most, ((1 << 31) - 1) // (min(block, depth) << bits))
            for drawn in (draw.integers(-levels, levels + 1, depth), np.full(depth, -levels)):
                q = np.zeros(padded(depth), np.int16 if own == 16 else np.int8)
                q[:depth] = drawn
                y = np.full(rows + 1, 5, np.float32)
                unit = np.float32(0.013)
                run = library[f"run_{bits}_{own}"]
                run.restype = None
                run(pointer(y), pointer(blob), pointer(q), ctypes.c_float(unit), depth,
                    min(block, depth), rows)  # fmt: skip
                assert np.array_equal(y[:rows], expected(matrix, bias, q[:depth], unit))
                assert y[rows] == 5, "nothing is written behind"


@pytest.mark.parametrize("kind", KINDS, ids=lambda own: f"w{own[0]}a{own[1]}")
def test_panels_lie_apart(library: ctypes.CDLL, kind: tuple[int, int]) -> None:
    bits, own = kind
    draw = np.random.default_rng(11)
    low, depth, block = -(1 << (bits - 1)), 72, 32
    for count in (1, 2, 3, 4, 5):
        rows = 16 * count
        values = draw.integers(low, -low, size=(rows, depth)).astype(np.int8)
        scales = draw.normal(size=(rows, 3)).astype(np.float32)
        matrix = IntegerMatrix(values, scales, bits, block)
        bias = draw.normal(size=rows).astype(np.float32)
        blob = np.frombuffer(matrix.packed(bias, sums=bits == 8 and own < 16), np.uint8)
        q = np.zeros(padded(depth), np.int16 if own == 16 else np.int8)
        q[:depth] = draw.integers(-63, 64, depth)
        y = np.full((count, 20), 5, np.float32)
        read = library[f"panels_of_{bits}_{own}"](
            pointer(y), 20, pointer(blob), pointer(q), ctypes.c_float(2), depth, block, count
        )
        assert read == blob.nbytes
        wanted = expected(matrix, bias, q[:depth], np.float32(2))
        assert np.array_equal(y[:, :16].ravel(), wanted)
        assert (y[:, 16:] == 5).all(), "nothing is written between"


@pytest.mark.parametrize("count", [1, 5, 16, 64, 77])
def test_vectors_are_rounded_to_the_nearest_even(library: ctypes.CDLL, count: int) -> None:
    draw = np.random.default_rng(9)
    x = draw.normal(size=count).astype(np.float32)
    x[0], x[-1] = -2.5, 0.5
    for bits, scale in ((16, 1.0), (16, 8e3), (8, 1.0), (8, 40.0)):
        q = np.full(count + 1, 5, np.int16 if bits == 16 else np.int8)
        library[f"round_{bits}"](pointer(q), pointer(x), count, ctypes.c_float(scale))
        assert np.array_equal(q[:count], np.rint(x * np.float32(scale)))
        assert q[count] == 5


def test_the_largest_magnitude_is_found_wherever_it_is(library: ctypes.CDLL) -> None:
    draw = np.random.default_rng(10)
    library.peak.restype = ctypes.c_uint32
    library.unit.restype = library.inverse.restype = ctypes.c_float
    for count in (1, 16, 37, 64):
        for at in {0, count // 2, count - 1}:
            for value in (-3.0, 1e-40, np.nan, -np.inf):
                x = (draw.normal(size=count) * 1e-45).astype(np.float32)
                x[at] = value
                found = library.peak(pointer(x), count)
                wanted = max(7, int((x.view(np.uint32) & 0x7FFFFFFF).max()))
                assert found == wanted
                unit, inverse = library.unit(found), library.inverse(found)
                assert np.isnan(unit) == (not np.isfinite(value))
                assert inverse == (np.float32(127) / np.float32(3) if value == -3 else 0)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_what_its_flags_choose(path: str) -> None:
    compiler = compiler_of(("gcc", "-O1"), path)
    done = subprocess.run(
        [*compiler.command, *compiler.flags, "-E", "-x", "c", "-"],
        input=text_of().replace("<immintrin.h>", "<stddef.h>"),
        capture_output=True,
        text=True,
        check=True,
    )
    for name, (_, _, mark) in PATHS.items():
        assert (mark in done.stdout) == (name == path)


@pytest.mark.parametrize("precision", ["int8", "w8a7", "w4a8"])
def test_chained_steps_of_a_model_have_the_same_bits(
    precision: str, checkpoint_folder: Path, tmp_path: Path
) -> None:
    from edgernn.export.to_c.exporter import CExporter
    from edgernn.models import checkpoint
    from edgernn.sessions.c_folder import checked_sources
    from edgernn.sessions.compiled import CompiledSession

    model = checkpoint.load(checkpoint_folder).model
    path = tmp_path / "step"
    made = CExporter().export(model, path, precision=precision, decoding=None)
    own = FileContract(contract=model.config.contract(), narrowing=made.narrowing)
    found = []
    for named, taken in BUILDS[0], BUILDS[1], BUILDS[5]:
        library = build(checked_sources(path), compiler_of(named, taken))
        session = CompiledSession(library, own)
        state = session.initial_state()
        outputs = []
        for token in range(24):
            logits, state = session.step({"tokens": np.array([[token]])}, state)
            outputs.append(logits["logits"])
        found.append(np.concatenate([*outputs, *(own.ravel() for own in state.values())], None))
    for other in found[1:]:
        assert np.array_equal(other, found[0])
