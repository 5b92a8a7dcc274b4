"""``edgernn import``: what it prints, its exit codes, its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import toy_family
from toy_family import TOLD, toy_run, toy_tensors

from edgernn.importers import table

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(table, "IMPORTERS", toy_family.rows(toy_family.Toy))
    toy_family.save(Path("toy.pt"), toy_tensors())
    np.savez("other.npz", x=np.ones(3))


def test_what_is_printed_and_what_comes_next(run: Run, tmp_path: Path) -> None:
    code, out, err = run("import", "toy.pt", "--out", "a run")
    assert code == 0
    assert "toy.pt is of the family toy" in err
    assert f"note: {TOLD}" in err
    assert "checked: chunks, rows" in err
    assert "a run: toy, 546 parameters" in out
    assert "next: edgernn export 'a run' --out 'a run.edgernn'" in out
    assert run("export", "a run", "--out", "b", "--to", "onnx")[0] == 0
    assert run("generate", "b", "--prompt", "abc", "--length", 5)[0] == 0
    for shown in (run("inspect", "a run")[1], run("inspect", "b")[1], run("card", "b")[1]):
        assert "imported from toy.pt" in shown
        assert TOLD in shown


def test_json(run: Run) -> None:
    np.savez("run.npz", **{"in/tokens": np.zeros((2, 1), int), "out/logits": _logits()})
    code, out, _ = run("import", "toy.pt", "--out", "r", "--check", "run.npz", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["family"] == "toy"
    assert found["kind"] == "language"
    assert found["parameters"] == 546
    assert found["told"] == [TOLD]
    assert [each["tensor"] for each in found["compared"]] == ["out/logits"]


def test_a_failed_check_exits_with_1(run: Run, tmp_path: Path) -> None:
    np.savez("run.npz", **{"in/tokens": np.zeros((2, 1), int), "out/logits": _logits() + 1})
    code, out, err = run("import", "toy.pt", "--out", "r", "--check", "run.npz")
    assert code == 1
    assert out == ""
    assert "error: the recorded run run.npz does not come out: out/logits" in err
    assert not (tmp_path / "r").exists()


def _logits() -> np.ndarray:
    return toy_run(toy_tensors(), np.zeros((2, 1), int))["logits"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--family", "x"), "unknown family 'x'; expected one of toy"),
        (("--set", "a"), "--set is 'a', expected NAME=VALUE"),
        (("--tolerance", "0"), "--tolerance is 0, expected above 0"),
        (("--tolerance", "inf"), "--tolerance is inf, expected above 0 and below 1"),
        (("--map", "none"), "cannot read the map none"),
        (("--vocabulary", "a", "--word-map", "b"), "say the same"),
        (("--with", "none"), "none is not there"),
        (("--check", "other.npz"), "does not fit the network's tokens"),
        (("--sample", "none.npz"), "none.npz is not there"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_misuse_is_one_line(options: tuple[str, ...], words: str, run: Run, tmp_path: Path) -> None:
    code, _, err = run("import", "toy.pt", "--out", "r", *options)
    assert code == 2
    assert words in err.splitlines()[-1]
    assert sum(line.startswith("edgernn: error") for line in err.splitlines()) == 1
    assert not (tmp_path / "r").exists()
