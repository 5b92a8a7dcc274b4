"""The Python example with bundles that are damaged, hostile or too new: one line and exit 2,
never a traceback.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import host_cases
import pytest
from hosts import EXAMPLES, Command
from servers import Server

from edgernn.export.pack import export_bundle

EXAMPLE = EXAMPLES / "python"
MUTATIONS = 300
# Writes every set of files of a list in turn over one bundle; prints for each set how the modes
# ended and what they said.
MANY = """
import contextlib, io, json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import main
folder = Path(sys.argv[2])
for files in json.loads(Path(sys.argv[3]).read_text("utf-8")):
    for name, content in files.items():
        (folder / name).write_bytes(content.encode("latin-1"))
    told = []
    for flags in (["--check"], ["--length", "3"], ["--time", "1"]):
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main.main([str(folder), *flags])
        err.flush()
        told.append([status, err.buffer.getvalue().decode("utf-8")])
    print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def text(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the tiny LSTM. Read only."""
    folder = tmp_path_factory.mktemp("damage") / "b"
    export_bundle(checkpoint_folder, folder, to="onnx", precision=["float32", "int8"], steps=8)
    return folder


@pytest.fixture
def folder(text: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be changed."""
    shutil.copytree(text, tmp_path / "b")
    return tmp_path / "b"


def outcomes(
    bundle: Path, sets: list[dict[str, bytes]], scratch: Path
) -> list[list[tuple[int, str]]]:
    """Return how each mode ends with each set of files: the exit status and what was said, at
    most one line.
    """
    (scratch / "sets.json").write_text(
        json.dumps([{n: c.decode("latin-1") for n, c in each.items()} for each in sets]), "utf-8"
    )
    command = [sys.executable, "-c", MANY, str(EXAMPLE), str(bundle), str(scratch / "sets.json")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(sets)
    for files, each in zip(sets, told, strict=True):
        for status, said in each:
            one_line = said.startswith("error: ") and said.count("\n") == 1 and len(said) < 1000
            assert (status == 2) == one_line, (files, said)
            assert status in (0, 1, 2)
            assert status == 2 or said == ""
    return told


def test_no_manifest_ends_it_with_a_traceback(
    folder: Path, captioner_bundle_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(captioner_bundle_folder, tmp_path / "captions")
    for seed, bundle in enumerate((folder, tmp_path / "captions")):
        manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
        sets = [
            {"manifest.json": content}
            for content in host_cases.damaged_manifests(manifest, seed, MUTATIONS)
        ]
        told = outcomes(bundle, sets, tmp_path)
        assert sum(each[0][0] == 2 for each in told) > MUTATIONS // 3


@pytest.mark.parametrize("name", ["tokenizer.json", "golden.safetensors", "sampler.json"])
def test_no_file_that_the_manifest_vouches_for_ends_it_with_a_traceback(
    folder: Path, name: str, tmp_path: Path
) -> None:
    content, draw, sets = (folder / name).read_bytes(), random.Random(1), []
    head = (
        8 + int.from_bytes(content[:8], "little") if name.endswith(".safetensors") else len(content)
    )
    for number in range(60):
        made = bytearray(content)
        for _ in range(draw.randrange(1, 4)):
            made[draw.randrange(head)] = draw.choice([0, 255, draw.randrange(256), *b'9-"'])
        if number % 2 and name.endswith(".json"):
            made = bytearray(host_cases.damaged_manifests(json.loads(content), number, 1)[0])
        host_cases.replace(
            folder, name, bytes(made[: draw.randrange(len(made)) if number % 10 == 0 else None])
        )
        sets.append({each: (folder / each).read_bytes() for each in (name, "manifest.json")})
    told = outcomes(folder, sets, tmp_path)
    assert sum(any(status for status, _ in each) for each in told) > 20


def test_a_key_that_comes_twice_is_read_as_the_last(python_example: Server, folder: Path) -> None:
    example = Command((), server=python_example)
    path = folder / "manifest.json"
    text = path.read_text("utf-8").replace(
        '"schema_version": 1', '"golden": 5, "schema_version": 2, "schema_version": 1', 1
    )
    path.write_text(text, "utf-8")
    example.good(folder, "--check")
    path.write_text(
        text.replace(
            '"golden": "golden.safetensors"', '"golden": "golden.safetensors", "golden": "x"'
        ),
        "utf-8",
    )
    assert "golden is 'x', expected a path that files lists" in example.refusal(folder, "--check")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_it_is_named(python_example: Server, folder: Path) -> None:
    (folder / "tokenizer.json").chmod(0)
    assert "cannot read" in Command((), server=python_example).refusal(folder)
