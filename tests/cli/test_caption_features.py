"""``edgernn caption`` of features, in files by name; and in the graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from feature_captioners import (
    DECODING,
    feature_captioner,
    feature_sample,
    feature_tokenizer,
    features,
)

from edgernn.bundle import Bundle
from edgernn.data.pictures.caption_ids import caption_text
from edgernn.decoding.captions import greedy_captions
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.model import open_model
from edgernn.sessions.opening import open_decoder

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the captioner of features, with a file that writes whole captions."""
    out = tmp_path_factory.mktemp("features")
    given = Checkpoint(feature_captioner(), feature_tokenizer(), {}, feature_sample())
    export_bundle(given, out / "b", to=["onnx"], in_graph=True, steps=2)
    np.savez(out / "six.npz", **features())
    np.savez(out / "one.npz", **{name: array[1] for name, array in features().items()})
    return out


def expected(bundle: Path) -> list[str]:
    """Return the greedy captions in words, by the ids alone."""
    with Bundle.open(bundle) as opened:
        ids = greedy_captions(open_model(opened), features(), DECODING)
    return [caption_text(feature_tokenizer(), each, DECODING) for each in ids]


def test_a_line_a_picture(folder: Path, run: Run) -> None:
    words = expected(folder / "b")
    assert len({*words}) > 1
    code, out, err = run("caption", folder / "b", folder / "six.npz", "--beam", 1)
    assert (code, err) == (0, "")
    lines = [line.split("\t") for line in out.splitlines()]
    assert lines == [[f"{folder / 'six.npz'}[{at}]", text] for at, text in enumerate(words)]
    code, out, err = run("caption", folder / "b", folder / "one.npz", "--beam", 1)
    assert (code, out, err) == (0, words[1] + "\n", "")


def test_json_has_the_attention(folder: Path, run: Run) -> None:
    out = run("caption", folder / "b", folder / "six.npz", "--json")[1]
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["row"] for record in records] == list(range(6))
    for record in records:
        weights = np.array(record["attention"])
        assert weights.shape == (len(record["caption"].split()), 5)
        np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)


def test_folders_and_files_that_are_none(folder: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes((folder / "one.npz").read_bytes())
    (tmp_path / "b.txt").write_text("no features")
    code, out, err = run("caption", folder / "b", tmp_path, "--beam", 1)
    assert (code, out, err) == (0, expected(folder / "b")[1] + "\n", "")
    code, out, err = run("caption", folder / "b", tmp_path / "b.txt", folder / "one.npz")
    assert code == 2
    assert "the model sees no pictures but features of them; give fc [N, 5]" in err
    assert len(out.splitlines()) == 1
    (tmp_path / "empty").mkdir()
    err = run("caption", folder / "b", tmp_path / "empty")[2]
    assert f"{tmp_path / 'empty'} holds no file of features; give another folder" in err


def test_no_picture_to_draw_a_map_on(folder: Path, run: Run) -> None:
    err = run("caption", folder / "b", folder / "one.npz", "--attention-map", "map.png")[2]
    assert "--attention-map draws on a picture, and" in err
    assert err.count("\n") == 1


def test_features_for_a_model_of_pictures(
    captioner_bundle_folder: Path, folder: Path, run: Run
) -> None:
    code, out, err = run("caption", captioner_bundle_folder, folder / "one.npz")
    assert (code, out) == (2, "")
    assert "is no picture" in err


def test_the_graph_writes_what_the_host_does(folder: Path) -> None:
    with Bundle.open(folder / "b") as bundle:
        whole = open_decoder(bundle, bundle.artifact("onnx/caption.onnx"))
        words = greedy_captions(open_model(bundle), features(regions=9), DECODING)
        for at, ids in enumerate(words):
            row = {name: array[at : at + 1] for name, array in features(regions=9).items()}
            found = whole.caption(row)
            assert list(found.tokens) == ids
            assert found.outputs["attention"].shape == (len(ids), 9)


def test_verify_reads_features(folder: Path) -> None:
    report = verify_bundle(folder / "b", steps=16, seed=5)
    found = {
        (artifact.path, check.name): check
        for artifact in report.artifacts
        for check in artifact.checks
    }
    for path in ("onnx/encode.onnx", "onnx/step.onnx"):
        for name in ("rollout", "invariance", "text", "greedy", "golden"):
            assert found[path, name].status == "passed", found[path, name].detail
    assert "captions of 6 held-out features identical" in found["onnx/step.onnx", "greedy"].detail
    assert found["onnx/caption.onnx", "decoding"].status == "passed"
