"""The compiled C example as the tests run it, and what it is given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions

EXAMPLES = Path(__file__).resolve().parents[2] / "runtime_examples"
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


@dataclass(frozen=True)
class Program:
    """The compiled example."""

    path: Path
    library: Path

    @property
    def environment(self) -> dict[str, str]:
        """What it is started with, beside what is there."""
        return {
            "ASAN_OPTIONS": f"exitcode={SANITIZER}",
            "UBSAN_OPTIONS": f"exitcode={SANITIZER}",
            "LSAN_OPTIONS": f"suppressions={C / 'lsan.supp'}:print_suppressions=0",
            "ONNXRUNTIME_LIBRARY": str(self.library),
        }

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [self.path, *map(str, arguments)]
        return subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=60,
            env={**os.environ, **self.environment},
        )

    def good(self, *arguments: object) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def refusal(self, *arguments: object) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert done.stderr.startswith("error: ")
        return done.stderr


def changed(source: Path, out: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Copy a bundle and edit its manifest."""
    shutil.copytree(source, out)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    edit(manifest)
    (out / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return out


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
