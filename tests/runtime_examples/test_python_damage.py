"""The Python example with bundles that are damaged, hostile or too new: one line and exit 2,
never a traceback.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import host_cases
import pytest

from edgernn.export.pack import export_bundle

EXAMPLE = Path(__file__).resolve().parents[2] / "runtime_examples" / "python"
MUTATIONS = 300
ODD = [
    None,
    True,
    -1,
    0,
    1,
    3.5,
    1e26,
    2**70,
    "",
    "x",
    "../x",
    "/etc/passwd",
    "a\x00b",
    "\ud800",
    [],
    {},
    [[]],
    {"a": 1},
    ["x", -5],
]
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


def mutated(manifest: Any, count: int, seed: int) -> Iterator[Any]:
    """Yield copies of a manifest, each with one value removed, replaced, doubled or renamed, at
    a place drawn at random.
    """
    draw = random.Random(seed)
    places = list(_places(manifest, ()))
    for _ in range(count):
        changed = copy.deepcopy(manifest)
        *path, last = draw.choice(places)
        parent = changed
        for key in path:
            parent = parent[key]
        what = draw.choice(["remove", "replace", "replace", "double", "rename"])
        if what == "remove":
            parent.pop(last)
        elif what == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
        elif what == "rename" and isinstance(parent, dict):
            parent[draw.choice(["x", "__proto__", "constructor", "../x", last.upper()])] = (
                parent.pop(last)
            )
        else:
            parent[last] = copy.deepcopy(draw.choice(ODD))
        yield changed


def _places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value but the recorded ids, which are many; a list's first two
    items stand for all.
    """
    keys = (
        value
        if isinstance(value, dict)
        else range(min(2, len(value)))
        if isinstance(value, list)
        else ()
    )
    for key in keys:
        if key not in ("provenance", "weights", "loss"):  # which no example reads
            yield (*path, key)
            yield from _places(value[key], (*path, key))


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "utf8", str(EXAMPLE / "main.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False, timeout=60)


def refusal(*arguments: object) -> str:
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    return done.stderr


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


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), "utf-8")


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
            {"manifest.json": json.dumps(each).encode()}
            for each in mutated(manifest, MUTATIONS, seed)
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


def test_a_key_that_comes_twice_is_read_as_the_last(folder: Path) -> None:
    path = folder / "manifest.json"
    text = path.read_text("utf-8").replace(
        '"schema_version": 1', '"golden": 5, "schema_version": 2, "schema_version": 1', 1
    )
    path.write_text(text, "utf-8")
    assert run(folder, "--check").returncode == 0
    path.write_text(
        text.replace(
            '"golden": "golden.safetensors"', '"golden": "golden.safetensors", "golden": "x"'
        ),
        "utf-8",
    )
    assert "golden is 'x', expected a path that files lists" in refusal(folder, "--check")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_it_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").chmod(0)
    assert "cannot read" in refusal(folder)
