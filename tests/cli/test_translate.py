"""``edgernn translate``: a text, a file of texts, standard input; a map; what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from family_networks import export_tiny
from PIL import Image
from typer.testing import CliRunner

from edgernn.cli.app import app

RUN = CliRunner()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(export_tiny("translator", tmp_path_factory.mktemp("t") / "b", to=["onnx"], steps=8))


def test_a_text_a_file_and_standard_input_say_the_same(bundle: str, tmp_path: Path) -> None:
    alone = RUN.invoke(app, ["translate", bundle, "face"])
    assert alone.exit_code == 0 and alone.stdout.endswith("\n")
    path = tmp_path / "texts.txt"
    path.write_text("face\n\nbad\n")
    from_file = RUN.invoke(app, ["translate", bundle, str(path)])
    assert from_file.stdout.splitlines()[0] == f"face\t{alone.stdout.strip()}"
    assert len(from_file.stdout.splitlines()) == 2
    piped = RUN.invoke(app, ["translate", bundle, "-"], input=path.read_text())
    assert piped.stdout == from_file.stdout


def test_json_is_a_line_a_text(bundle: str) -> None:
    found = RUN.invoke(app, ["translate", bundle, "face", "--json", "--beam", "2"])
    told = json.loads(found.stdout)
    assert told["source"] == "face" and told["artifact"] == "onnx/step.onnx"
    assert told["translation"] and isinstance(told["finished"], bool)


def test_a_line_with_a_strange_character_leaves_the_others(bundle: str) -> None:
    found = RUN.invoke(app, ["translate", bundle, "-"], input="face\nfax\nbad\n")
    assert [line.split("\t")[0] for line in found.stdout.splitlines()] == ["face", "bad"]
    assert found.exit_code == 2
    skipped = RUN.invoke(
        app, ["translate", bundle, "-", "--on-unknown", "skip"], input="face\nfax\nbad\n"
    )
    assert len(skipped.stdout.splitlines()) == 3 and skipped.exit_code == 0


def test_a_map_is_drawn_of_one_text(bundle: str, tmp_path: Path) -> None:
    target = tmp_path / "map.png"
    drawn = RUN.invoke(app, ["translate", bundle, "face", "--attention-map", str(target)])
    assert drawn.exit_code == 0
    with Image.open(target) as picture:
        assert picture.format == "PNG"
