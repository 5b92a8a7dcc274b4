"""Answers from a bundle: what is read of a question, what an answer holds, and the command."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from family_networks import export_tiny
from PIL import Image

from edgernn.cli.app import main
from edgernn.data.pictures.pictures import load_picture
from edgernn.errors import DataError, UsageError
from edgernn.sessions.model import open_model
from edgernn.writing.answers import Answerer

QUESTION = "What colour is the small star?"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_tiny("answerer", tmp_path_factory.mktemp("asked") / "tiny", to=["onnx"], steps=4)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of 40 by 60 pixels."""
    tiles = np.random.default_rng(0).integers(0, 256, (3, 2, 3)).astype(np.uint8)
    Image.fromarray(tiles).resize((40, 60)).save(tmp_path / "tiles.png")
    return tmp_path / "tiles.png"


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run ``edgernn ask``; return exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["edgernn", "ask", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return (code, *capsys.readouterr())

    return call


def test_an_answer_is_what_the_steps_give(bundle: Path, picture: Path) -> None:
    with Answerer(bundle) as answerer:
        found = answerer.ask(answerer.look(picture), QUESTION)
    model = open_model(bundle)
    contexts, state = model.look(load_picture(picture, 32)[None])
    words = ["what", "colour", "is", "the", "small", "star"]
    ids = sorted(words)  # each occurs once, so the vocabulary has them in this order
    running = []
    for word in words:
        fed = {"tokens": np.array([[4 + ids.index(word)]]), **contexts}
        outputs, state = model.step(fed, state)
        shares = np.exp(outputs["answer"][0, 0].astype(float))
        running.append(shares / shares.sum())
    np.testing.assert_allclose(found.running, running, rtol=1e-6)
    np.testing.assert_allclose(found.attention[-1], outputs["attention"][0, 0])  # type: ignore[index]
    assert found.words == tuple(words) and found.labels == ("blue", "dark red", "no")
    best, share = found.best(3)[0]
    assert best == found.labels[int(np.argmax(running[-1]))]
    assert share == pytest.approx(max(running[-1]))
    assert sum(share for _, share in found.best(3)) == pytest.approx(1)


def test_words_that_the_model_does_not_know(bundle: Path, picture: Path) -> None:
    with Answerer(bundle) as answerer:
        seen = answerer.look(picture)
        assert answerer.ask(seen, "What colour is the Cup, (star)?").unknown == ("Cup",)
        with pytest.raises(DataError, match="knows none of the words Cup, zebra; ask with its 6"):
            answerer.ask(seen, "Cup zebra?")
        with pytest.raises(DataError, match="was asked nothing"):
            answerer.ask(seen, " ? ")


def test_another_model_is_told_what_it_is(bundle_folder: Path) -> None:
    with pytest.raises(UsageError, match="is a language model, it sees no pictures"):
        Answerer(bundle_folder)


def test_the_command_prints_answers_with_their_probabilities(
    bundle: Path, picture: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = run(bundle, picture, QUESTION, "--top", "3")
    assert (code, err) == (0, "")
    rows = [line.split("\t") for line in out.splitlines()]
    assert {name for name, _ in rows} == {"blue", "dark red", "no"}
    code, out, err = run(bundle, picture, "is the cup", "--json")
    found = json.loads(out)
    assert code == 0 and "does not know 'cup'" in err
    assert found["unknown"] == ["cup"] and found["answers"][0]["answer"] == found["answer"]


def test_questions_come_line_by_line(
    bundle: Path,
    picture: Path,
    run: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("what is the star\n\n is the colour small? \n"))
    code, out, _ = run(bundle, picture, "-")
    assert code == 0
    asked = [line.split("\t")[0] for line in out.splitlines()]
    assert asked == ["what is the star", "is the colour small?"]


def test_what_cannot_be_drawn_or_read_is_told_in_a_line(
    bundle: Path, picture: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    for arguments, told in (
        ((picture, "-", "--attention-map", "map.png"), "draws one question; give it in place of -"),
        ((picture, QUESTION, "--attention-map", picture), "is the picture itself"),
        (("none.png", QUESTION), "cannot read the picture"),
    ):
        code, out, err = run(bundle, *arguments)
        assert (code, out) == (2, "") and told in err and err.count("\n") == 1


def test_a_map_of_where_it_looked(
    bundle: Path, picture: Path, run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    code, _, err = run(bundle, picture, QUESTION, "--attention-map", "map.png")
    assert (code, err) == (0, "")
    with Image.open(tmp_path / "map.png") as drawn:
        assert drawn.size > (100, 100)
