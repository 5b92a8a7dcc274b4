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
