"""The C++ example over ExecuTorch: built with the headers and libraries of the Python wheel, on
bundles of ``.pte`` files.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hosts import EXAMPLES, Command

pytest.importorskip("executorch")

from edgernn.bundle import Bundle
from edgernn.decoding.captions import search_caption
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.sessions.model import open_model
from edgernn.writing.text import write_text

LOOSE = ReducedOptions(budget=Budget(perplexity="900%"))  # untrained weights
FLOATS, BYTES = "executorch/step.pte", "executorch/step-int8.pte"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """The program, without a warning of the compiler."""
    if shutil.which("g++") is None or shutil.which("make") is None:
        pytest.skip("g++ or make is not installed")
    (folder,) = importlib.util.find_spec("executorch").submodule_search_locations  # type: ignore[union-attr,misc]
    target = tmp_path_factory.mktemp("executorch") / "edgernn_run"
    done = subprocess.run(
        ["make", f"EXECUTORCH={folder}", f"OUT={target}", "CXXFLAGS=-O1 -Werror"],
        cwd=EXAMPLES / "executorch",
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return Command((str(target),))


@pytest.fixture(scope="module")
def text(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM in float32 and int8. Read only."""
    folder = tmp_path_factory.mktemp("bundle") / "text"
    precision = ("float32", "int8")
    export_bundle(
        checkpoint_folder, folder, to="executorch", precision=precision, steps=16, options=LOOSE
    )
    return folder


def lines(printed: str) -> Iterator[tuple[str, str]]:
    for line in printed.splitlines():
        name, *_, verdict = line.split()
        yield name, verdict


@pytest.mark.parametrize("artifact", [FLOATS, BYTES])
def test_it_is_as_the_recorded_run_says(program: Command, text: Path, artifact: str) -> None:
    done = program.run(text, "--check", "--artifact", artifact)
    assert done.returncode == 0, (done.stdout, done.stderr)
    found = dict(lines(done.stdout))
    assert {"logits", "sampler", "tokenizer"} <= found.keys()
    assert set(found.values()) == {"ok"}


def test_a_recorded_run_that_is_another_one_fails(
    program: Command, text: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(text, tmp_path / "copy")
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    for artifact in manifest["artifacts"]:
        artifact["tolerance"] = 1e-12
    path.write_text(json.dumps(manifest), "utf-8")
    done = program.run(copy, "--check")
    assert done.returncode == 1
    assert "FAILED" in done.stdout


def test_it_writes_the_text_of_edgernn(program: Command, text: Path) -> None:
    done = program.run(text, "--prompt", "a", "--length", 60, "--temperature", 0, "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)["text"]
    assert made == write_text(text, "a", length=60, temperature=0.0, artifact=FLOATS)["text"]


def test_it_writes_the_caption_of_edgernn(
    program: Command,
    captioner_folder: Path,
    pictures: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("captions")
    export_bundle(captioner_folder, folder / "b", to="executorch", steps=8)
    sessions = open_model(Bundle.open(folder / "b"), FLOATS)
    path = folder / "a.ppm"
    path.write_bytes(b"P6\n32 32\n255\n" + pictures[0].tobytes())
    done = program.run(folder / "b", "--image", path, "--json")
    decoding = sessions.step.file_contract.decoding
    expected = search_caption(sessions, pictures[0][None], decoding).tokens
    assert json.loads(done.stdout)["tokens"] == list(expected)


def test_a_changed_file_is_refused_in_one_line(
    program: Command, text: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(text, tmp_path / "copy")
    content = (copy / FLOATS).read_bytes()
    (copy / FLOATS).write_bytes(content[:-1] + b"x")
    done = program.run(copy, "--check")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].count(FLOATS) == 1
