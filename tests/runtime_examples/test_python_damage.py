"""The Python example with bundles that are damaged, hostile or too new: one line and exit 2, never a traceback."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import host_cases
import pytest

from edgernn.bundle import pack
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
# Writes every set of files of a list in turn over one bundle; prints for each set how the modes ended and what they said.
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
    """Yield copies of a manifest, each with one value removed, replaced, doubled or renamed, at a place drawn at random."""
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
    """Yield the path of every value but the recorded ids, which are many; a list's first two items stand for all."""
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
    """Return how each mode ends with each set of files: the exit status and what was said, at most one line."""
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


@pytest.mark.parametrize("name", ["tokenizer.json", "golden.safetensors", "onnx/step.onnx"])
def test_a_link_that_leads_out_is_refused(folder: Path, name: str, tmp_path: Path) -> None:
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert "leads out of the bundle" in refusal(folder)


@pytest.mark.parametrize(
    "name",
    ["tokenizer.json", "golden.safetensors", "sampler.json", "onnx/step.onnx", "manifest.json"],
)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in refusal(folder)
    (folder / name).mkdir()
    assert f"{name} is no file" in refusal(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_it_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").chmod(0)
    assert "cannot read" in refusal(folder)


def test_a_large_file_is_not_read(folder: Path) -> None:
    with (folder / "tokenizer.json").open("r+b") as file:
        file.truncate(1 << 40)
    assert "has 1099511627776 bytes, expected" in refusal(folder)


def test_a_bundle_in_one_file_writes_the_same(text: Path, tmp_path: Path) -> None:
    pack(text, tmp_path / "one.edgernn")
    assert run(tmp_path / "one.edgernn", "--check").returncode == 0
    outputs = [
        run(place, "--length", 50, "--seed", 3).stdout for place in (text, tmp_path / "one.edgernn")
    ]
    assert outputs[0] == outputs[1] != ""


def rezipped(
    source: Path, target: Path, change: Callable[[zipfile.ZipFile, str, bytes], object]
) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            change(new, name, old.read(name))
    return target


def test_a_damaged_or_hostile_zip_is_refused(text: Path, tmp_path: Path) -> None:
    pack(text, tmp_path / "one.edgernn")
    whole = (tmp_path / "one.edgernn").read_bytes()
    for number, content in enumerate((b"", b"no zip", whole[: len(whole) // 2], whole[:-30])):
        path = tmp_path / f"{number}.edgernn"
        path.write_bytes(content)
        assert "is no bundle folder and no .edgernn file" in refusal(path)
    flipped = bytearray(whole)
    flipped[whole.index(b"tokenizer.json") + 60] ^= 0x55
    (tmp_path / "flipped.edgernn").write_bytes(bytes(flipped))
    assert "tokenizer.json" in refusal(tmp_path / "flipped.edgernn")
    one = tmp_path / "one.edgernn"
    cases: dict[str, tuple[Callable[[zipfile.ZipFile, str, bytes], object], str]] = {
        "bomb": (
            lambda z, n, c: z.writestr(n, c if n != "tokenizer.json" else b"0" * 50_000_000),
            "has 50000000 bytes, expected",
        ),
        "twice": (
            lambda z, n, c: [z.writestr(n, c) for _ in range(1 + (n == "tokenizer.json"))],
            "holds a file twice",
        ),
        "without": (lambda z, n, c: n != "sampler.json" and z.writestr(n, c), "sampler.json of"),
        "method": (lambda z, n, c: z.writestr(n, c, zipfile.ZIP_LZMA), "is packed by method 14"),
    }
    for name, (change, says) in cases.items():
        with (
            pytest.warns(UserWarning, match="Duplicate")
            if name == "twice"
            else contextlib.nullcontext()
        ):
            path = rezipped(one, tmp_path / f"{name}.edgernn", change)
        assert says in refusal(path)


def test_a_newer_runtime_is_asked_for_by_version(folder: Path) -> None:
    edit(
        folder, lambda manifest: manifest["artifacts"][0].update(requires={"onnxruntime": "999.1"})
    )
    said = refusal(folder, "--artifact", "onnx/step.onnx")
    assert "onnx/step.onnx needs onnxruntime 999.1 or newer, and " in said
    assert (
        json.loads(run(folder, "--json", "--length", 3).stdout)["artifact"] == "onnx/step-int8.onnx"
    )  # which runs here
    edit(
        folder, lambda manifest: manifest["artifacts"][1].update(requires={"onnxruntime": "999.1"})
    )
    assert "onnx/step.onnx needs onnxruntime 999.1" in refusal(folder)
    edit(
        folder,
        lambda manifest: manifest["artifacts"][0].update(
            requires={"onnxruntime": "1.18", "torch": "999"}
        ),
    )
    assert run(folder, "--check").returncode == 0


@pytest.mark.parametrize("kind", host_cases.FOREIGN)
def test_a_model_that_asks_for_more_than_itself_is_refused(folder: Path, kind: str) -> None:
    host_cases.replace_artifact(folder, host_cases.foreign_model(folder, kind))
    assert host_cases.FOREIGN[kind] in refusal(folder, "--length", 1)


@pytest.mark.parametrize(("key", "row"), [("uniforms", "uniforms"), ("tokens", "sampler")])
def test_vectors_without_any_fail(folder: Path, key: str, row: str) -> None:
    host_cases.empty_vectors(folder, key)
    done = run(folder, "--check")
    assert done.returncode == 1
    assert [line.split() for line in done.stdout.splitlines() if line.endswith(" FAILED")] == [
        [row, "inf", "0", "FAILED"]
    ]
