"""The LiteRT example in Python against edgernn: the recorded run, greedy text, captions, bad input.

Its bundles are exported here, which needs ``edgernn doctor --make litert``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ai_edge_litert")
pytest.importorskip("torch")

from edgernn.bundle import digest
from edgernn.export import environments, export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions

if environments.find("litert") is None:
    pytest.skip(f"run: {environments.by_name('litert').command}", allow_module_level=True)

EXAMPLE = Path(__file__).resolve().parents[2] / "runtime_examples" / "litert"
PRECISIONS = ("float32", "int8", "int4")
PATHS = {p: f"litert/step{'' if p == 'float32' else f'-{p}'}.tflite" for p in PRECISIONS}


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "main.py"), *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )


@pytest.fixture(scope="module")
def bundle(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model in every precision."""
    out = tmp_path_factory.mktemp("litert") / "bundle"
    options = ReducedOptions(budget=Budget(perplexity=1.0))
    export_bundle(
        checkpoint_folder, out, to="litert", precision=PRECISIONS, steps=16, options=options
    )
    return out


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_recorded_run_is_replayed(bundle: Path, precision: str) -> None:
    done = run(bundle, "--check", "--artifact", PATHS[precision])
    verdicts = {
        line.split()[0].split("[")[0]: line.split()[-1] for line in done.stdout.splitlines()
    }
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"logits", "h_next", "c_next", "sampler", "tokenizer"} <= verdicts.keys()
    assert set(verdicts.values()) == {"ok"}


@pytest.mark.parametrize("precision", ("float32", "int8"))
def test_it_writes_what_edgernn_writes(bundle: Path, precision: str) -> None:
    done = run(
        bundle, "--artifact", PATHS[precision], "--prompt", "the ", "--length", 100,
        "--temperature", 0,
    )  # fmt: skip
    ours = subprocess.run(
        [
            *(sys.executable, "-m", "edgernn", "generate", str(bundle), "--prompt", "the "),
            *("--artifact", PATHS[precision], "--length", "100", "--temperature", "0"),
        ],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert (done.returncode, ours.returncode) == (0, 0), done.stderr + ours.stderr
    assert len(done.stdout) > 50
    assert done.stdout == ours.stdout


def test_a_damaged_file_is_refused_in_one_line(bundle: Path, tmp_path: Path) -> None:
    for change, said in (
        (lambda data: data[:4] + b"ONNX" + data[8:], "it does not begin as such a file"),
        (lambda data: data.replace(b"h_next\0", b"g_next\0"), "has the tensors"),
    ):
        folder = tmp_path / "b"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(bundle, folder)
        _change(folder, PATHS["float32"], change)
        done = run(folder, "--check")
        assert done.returncode == 2
        assert said in done.stderr.splitlines()[-1]


def _change(folder: Path, inner: str, change: Callable[[bytes], bytes]) -> None:
    """Change a file and make its digest right."""
    import json

    (folder / inner).write_bytes(change((folder / inner).read_bytes()))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    found = digest(folder / inner)
    for artifact in manifest["artifacts"]:
        if artifact["path"] == inner:
            artifact.update(bytes=found.bytes, sha256=found.sha256)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
