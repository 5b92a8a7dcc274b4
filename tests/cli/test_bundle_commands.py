"""``edgernn verify`` writes its report in every form that is asked for, and one of them to stdout;
``edgernn export`` in reduced precisions shows what each weight is stored as, and refuses limits
that mean nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from edgernn.bundle import pack
from edgernn.cli.app import main
from edgernn.export.to_onnx import quantize

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def single(bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A single-file bundle in the folder where commands run."""
    monkeypatch.chdir(tmp_path)
    pack(bundle_folder, tmp_path / "tiny.edgernn")
    return "tiny.edgernn"


def verify(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(
        sys, "argv", ["edgernn", "verify", *arguments, "--to", "onnx", "--steps", "4"]
    )
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_every_form_to_a_file(
    single: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert (
        verify(monkeypatch, single, "--json", "r.json", "--junit", "r.xml", "--html", "r.html") == 0
    )
    assert "verified" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_bytes())["passed"] is True
    assert Xml.fromstring((tmp_path / "r.xml").read_bytes()).get("failures") == "0"
    assert Xml.fromstring((tmp_path / "r.html").read_bytes()).tag.endswith("html")


@pytest.mark.parametrize(
    ("option", "begin"), [("--junit", "<?xml"), ("--html", "<!DOCTYPE html>"), ("--json", "{")]
)
def test_one_form_to_stdout_and_nothing_else(
    option: str,
    begin: str,
    single: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert verify(monkeypatch, single, option, "-") == 0
    out = capsys.readouterr().out
    assert out.startswith(begin)
    assert json.loads(out) if begin == "{" else Xml.fromstring(out.encode()) is not None


def test_two_forms_to_stdout(
    single: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(monkeypatch, single, "--json", "-", "--html", "-") == 2
    assert "stdout takes one of them" in capsys.readouterr().err


REDUCED = ("--to", "onnx", "--max-perplexity-increase", "50%", "--precision")


def test_an_export_shows_what_each_weight_is_stored_as(run: Run, checkpoint_folder: Path) -> None:
    code, out, err = run("export", checkpoint_folder, "--out", "b", *REDUCED, "int8,smallest")
    assert code == 0
    assert "onnx/step-int8.onnx: perplexity" in out
    assert "of 50.00% allowed" in out
    lines = [line.split() for line in out.splitlines()]
    (recurrent, *_) = [
        line for line in lines if line[:2] == ["recurrent.layers.1.joined", "(recurrent)"]
    ]
    assert recurrent[2:9] == ["32", "x", "16", "int8", "in", "blocks", "of"]
    assert [line[-2:] for line in lines if line[:1] == ["together"]] == [["of", "float32"]] * 2
    assert "stayed float" not in out
    assert "smallest within the budget: " in err


def test_a_weight_that_stayed_float_is_shown(
    run: Run, checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = quantize.constant_matrix
    monkeypatch.setattr(
        quantize,
        "constant_matrix",
        lambda node, given: None if "head" in node.name else found(node, given),
    )
    code, out, err = run("export", checkpoint_folder, "--out", "b", *REDUCED, "int8")
    assert (code, out) == (2, "")
    assert (
        "these weights stayed float: head (float32); nothing was written. Allow it with "
        "--allow-float" in err
    )
    code, out, _ = run("export", checkpoint_folder, "--out", "b", *REDUCED, "int8", "--allow-float")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines() if "stayed float" in line] == ["head"]


def test_an_export_as_json_is_the_manifest(run: Run, checkpoint_folder: Path) -> None:
    code, out, _ = run(
        "export", checkpoint_folder, "--out", "b", *REDUCED, "int4", "--block-size", "16", "--json"
    )
    assert code == 0
    (artifact,) = json.loads(out)["artifacts"]
    assert (artifact["precision"], artifact["loss"]["allowed"]) == ("int4", 0.5)
    assert {
        weight["block_size"] for weight in artifact["weights"] if weight["dtype"] == "int4"
    } == {16}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--max-perplexity-increase", "abc"), "'abc' is no share, expected one as 1% or 0.01"),
        (
            ("--max-perplexity-increase", "-1%"),
            "the largest perplexity increase is -1%: -1% is no share, expected 0 or more",
        ),
        (
            ("--max-perplexity-increase", "nan"),
            "the largest perplexity increase is nan: nan is no share, expected 0 or more",
        ),
        (
            ("--max-cider-drop", "inf"),
            "the largest CIDEr drop is inf: inf is no share, expected 0 or more",
        ),
        (
            ("--max-cider-drop", "1%"),
            "a largest CIDEr drop is given for a model that writes no captions",
        ),
        (("--block-size", "20"), "--block-size is 20, expected one of 16, 32, 64, 128, 256"),
        (("--calibration", "short.txt"), "the calibration text has 5 tokens, expected 64 or more"),
        (("--calibration", "foreign.txt"), "the vocabulary has no"),
        (("--calibration", "nowhere.txt"), "nowhere.txt"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_options_that_mean_nothing(
    run: Run, checkpoint_folder: Path, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    (tmp_path / "short.txt").write_text("the e")
    (tmp_path / "foreign.txt").write_text("\u00fc" * 100, encoding="utf-8")
    code, out, err = run(
        "export", checkpoint_folder, "--out", "b", "--to", "onnx", "--precision", "int4", *options
    )
    assert (code, out) == (2, "")
    assert says in err.replace("\n", " ")
    assert not (tmp_path / "b").exists()


def test_the_smallest_needs_a_limit(run: Run, checkpoint_folder: Path) -> None:
    code, _, err = run(
        "export", checkpoint_folder, "--out", "b", "--to", "onnx", "--precision", "smallest"
    )
    assert code == 2
    assert "give --max-perplexity-increase, as 1%" in err


def test_a_calibration_text_is_read(run: Run, checkpoint_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("the quick brown fox\n" * 10)
    code, out, _ = run(
        "export", checkpoint_folder, "--out", "b", *REDUCED, "int4", "--calibration", "own.txt"
    )
    assert code == 0
    assert "wrote b" in out
