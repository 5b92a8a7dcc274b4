"""Each way of answering rows gives what its own command gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from family_networks import export_tiny

from edgernn.batch.answering import answering_of, options_of
from edgernn.bundle import Bundle
from edgernn.errors import DataError, EdgernnError, UsageError
from edgernn.writing.captions import CaptionWriter
from edgernn.writing.looks import Looker
from edgernn.writing.text import write_text
from edgernn.writing.translations import TranslationWriter


def answers(bundle: Path, values: list[Any], first: int = 0, **options: Any) -> list[Any]:
    with Bundle.open(bundle) as opened:
        kind = answering_of(opened)
        return list(kind(opened, None, options_of(kind, options)).answer(values, first))


def picture(folder: Path, name: str) -> str:
    from PIL import Image

    array = np.random.default_rng(len(name)).integers(0, 255, (20, 24, 3)).astype("u1")
    Image.fromarray(array).save(folder / name)
    return str(folder / name)


def test_texts_are_those_of_generate(bundle_folder: Path) -> None:
    prompts = ["the", "", "quick", "THE END", "\u2603", *("dog" * n for n in range(1, 80))]
    options = {"length": 9, "seed": 2**64 - 3, "temperature": 0.9}
    found = answers(bundle_folder, prompts, first=2, **options)
    assert isinstance(found[4], DataError)
    for row in (0, 1, 2, 3, 5, 40, 83):
        seed = (2**64 - 3 + 2 + row) % 2**64
        wanted = write_text(bundle_folder, prompts[row], **{**options, "seed": seed})
        assert found[row] == {"generated": wanted["text"], "tokens": 9}


def test_translations_are_those_of_translate(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    bundle = export_tiny("translator", tmp_path / "b", to=["onnx"], steps=8)
    found = answers(bundle, ["abc", "", None, "gfe d"], beam=2)
    with TranslationWriter(bundle) as writer:
        for row, text in ((0, "abc"), (3, "gfe d")):
            wanted = writer.write(text, beam=2)
            assert found[row]["translation"] == wanted.text
            assert found[row]["score"] == pytest.approx(wanted.hypothesis.score)
    assert all(isinstance(found[row], DataError) for row in (1, 2))


def test_captions_are_those_of_caption(captioner_bundle_folder: Path, tmp_path: Path) -> None:
    path = picture(tmp_path, "a.png")
    (tmp_path / "b.png").write_text("no picture")
    found = answers(captioner_bundle_folder, [path, str(tmp_path / "b.png"), "none.png"])
    with CaptionWriter(captioner_bundle_folder) as writer:
        wanted = writer.write(Path(path))
    assert found[0]["caption"] == wanted.text
    assert all(isinstance(each, EdgernnError) for each in found[1:])


def test_labels_of_pictures_are_those_of_classify(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    fsspec = pytest.importorskip("fsspec")
    bundle = export_tiny("glimpses", tmp_path / "b", to=["onnx"], steps=8)
    path = picture(tmp_path, "a.png")
    memory = fsspec.filesystem("memory")
    memory.put(path, "/far/a.png")
    found = answers(bundle, [path, "memory://far/a.png"])
    memory.rm("/far", recursive=True)
    with Looker(bundle) as looker:
        wanted = looker.look(Path(path))
    assert found[0] == found[1]
    assert found[0]["label"] == wanted.label
    assert found[0]["probability"] == pytest.approx(wanted.probability)


def test_a_model_that_no_table_is_for_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    bundle = export_tiny("painter", tmp_path / "b", to=["onnx"], steps=8)
    with (
        Bundle.open(bundle) as opened,
        pytest.raises(UsageError, match=r"is no model of caption, classify, generate, translate, "),
    ):
        answering_of(opened)
