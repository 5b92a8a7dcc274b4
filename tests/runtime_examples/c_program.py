"""The compiled C example as the tests run it, and what it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hosts import EXAMPLES

from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions

C = EXAMPLES / "c"
FLAGS = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-g",
    "-O1",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
]
STEPS = ["onnx/step.onnx", "onnx/step-float16.onnx", "onnx/step-int8.onnx", "onnx/step-int4.onnx"]
LOOSE = ReducedOptions(
    budget=Budget(perplexity="900%")
)  # untrained weights, so what they lose is not the point
PROMPT = "the quick brown "
SANITIZER = 99  # the exit code of a sanitizer that found something


def c_environment(library: Path) -> dict[str, str]:
    """Return what a program of the C example is started with; ``library`` is onnxruntime's."""
    return {
        "ASAN_OPTIONS": f"exitcode={SANITIZER}",
        "UBSAN_OPTIONS": f"exitcode={SANITIZER}",
        "LSAN_OPTIONS": f"suppressions={C / 'lsan.supp'}:print_suppressions=0",
        "ONNXRUNTIME_LIBRARY": str(library),
    }


def mutations(content: bytes, *, count: int, seed: int) -> list[bytes]:
    """Cut, overwrite, repeat and leave out parts of a file."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        at = int(random.integers(len(content)))
        end = min(len(content), at + int(random.integers(1, 40)))
        noise = bytes(random.integers(0, 256, end - at, np.uint8))
        tokens = [
            b"-1",
            b"1e308",
            b"1e999",
            b"null",
            b"[[",
            b"{}",
            b'"',
            b"\\u0000",
            b"18446744073709551615",
        ]
        token = tokens[int(random.integers(len(tokens)))]
        cut = (
            content[:at],
            content[:at] + noise + content[end:],
            content[:at] + content[end:],
            content[:at] + token + content[at:],
        )
        made.append(cut[number % len(cut)])
    return made
