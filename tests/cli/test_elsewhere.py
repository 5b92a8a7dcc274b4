"""``explain`` of a run, a bundle and a file of edgernn's own: where else its ONNX files run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.bundle import Bundle

pytest.importorskip("torch")
pytest.importorskip("onnx")
Run = Callable[..., tuple[int, str, str]]


def test_a_run_tells_of_what_export_would_write(run: Run, checkpoint_folder: Path) -> None:
    code, out, err = run("explain", checkpoint_folder)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "elsewhere, onnx/step.onnx:"
    assert lines[1].startswith("  runs in onnxruntime 1.18.0, onnxruntime 1.23.0, ")


def test_a_bundle_tells_of_each_file_as_a_lone_file_does(run: Run, bundle_folder: Path) -> None:
    code, out, err = run("explain", bundle_folder, "--json")
    assert code == 0, err
    found = json.loads(out)
    with Bundle.open(bundle_folder) as bundle:
        onnx = [a.path for a in bundle.manifest.artifacts if a.format == "onnx"]
        assert list(found) == onnx and onnx
        code, out, err = run("explain", bundle.path(onnx[0]), "--json")
    assert code == 0, err
    (alone,) = json.loads(out).values()
    assert alone == found[onnx[0]]
    tract = next(each for each in alone if each["runtime"].startswith("tract"))
    assert tract["verdict"] == "runs" and not tract["fixed"]


def test_what_is_neither_is_refused_with_what_is_taken(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a text")
    code, _, err = run("explain", tmp_path / "notes.txt")
    assert code == 2
    assert "explain takes an ONNX file, FILE.py:NAME, a run or a bundle" in err


def test_it_says_whether_a_file_is_portable(
    run: Run, checkpoint_folder: Path, tmp_path: Path
) -> None:
    export = ("export", checkpoint_folder, "--to", "onnx", "--precision", "float32,int8")
    assert run(*export, "--out", "plain")[0] == 0
    code, out, err = run("explain", tmp_path / "plain")
    assert code == 0, err
    said = [line.strip() for line in out.splitlines() if "portable: " in line]
    assert said[0] == "portable: it has nothing that a runtime is known to leave out"
    assert said[1].startswith("not portable: it asks for operators of the domain 'com.microsoft'")
    code, out, err = run(*export, "--out", "everywhere", "--portable", "--opset", "18")
    assert code == 0, err
    assert out.count("opset 18, IR 9, portable") == 2
    code, out, err = run("explain", tmp_path / "everywhere")
    assert code == 0, err
    assert "not portable" not in out
    code, _, err = run(*export, "--out", "old", "--opset", "7")
    assert (code, "--opset is 7, expected 13 to 21" in err) == (2, True)
    code, _, err = run("verify", "plain", "--runtime", "another")
    assert (code, "unknown runtime 'another'" in err) == (2, True)
