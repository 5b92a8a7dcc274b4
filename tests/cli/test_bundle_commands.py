"""``edgernn verify`` writes its report in every form that is asked for, and one of them to stdout."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from edgernn.bundle import pack
from edgernn.cli.app import main


@pytest.fixture
def single(bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A single-file bundle in the folder where commands run."""
    monkeypatch.chdir(tmp_path)
    pack(bundle_folder, tmp_path / "tiny.edgernn")
    return "tiny.edgernn"


def verify(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["edgernn", "verify", *arguments, "--to", "onnx", "--steps", "4"])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_every_form_to_a_file(
    single: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert verify(monkeypatch, single, "--json", "r.json", "--junit", "r.xml", "--html", "r.html") == 0
    assert "verified" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_bytes())["passed"] is True
    assert Xml.fromstring((tmp_path / "r.xml").read_bytes()).get("failures") == "0"
    assert Xml.fromstring((tmp_path / "r.html").read_bytes()).tag.endswith("html")


@pytest.mark.parametrize(("option", "begin"), [("--junit", "<?xml"), ("--html", "<!DOCTYPE html>"), ("--json", "{")])
def test_one_form_to_stdout_and_nothing_else(
    option: str, begin: str, single: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(monkeypatch, single, option, "-") == 0
    out = capsys.readouterr().out
    assert out.startswith(begin)
    assert json.loads(out) if begin == "{" else Xml.fromstring(out.encode()) is not None


def test_two_forms_to_stdout(single: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(monkeypatch, single, "--json", "-", "--html", "-") == 2
    assert "stdout takes one of them" in capsys.readouterr().err
