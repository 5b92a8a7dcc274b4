"""From a checkpoint to a run: recognised, proved, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_family import HIDDEN, TOLD, VOCABULARY, save, toy_run, toy_tensors

from edgernn.contract import TOKENS
from edgernn.errors import CheckFailedError, CheckpointError, EdgernnError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.importers.base import Wishes
from edgernn.importers.importing import import_checkpoint
from edgernn.models import checkpoint

pytestmark = pytest.mark.usefixtures("toy")


def spoil(path: Path, **changed: np.ndarray | None) -> Path:
    """Write a toy file with some tensors replaced, or left out."""
    tensors = {**toy_tensors(), **{f"toy.{name}": array for name, array in changed.items()}}
    return save(path, {name: array for name, array in tensors.items() if array is not None})


def test_an_import_is_a_run_that_export_takes(toy_file: Path, tmp_path: Path) -> None:
    said: list[str] = []
    taken = import_checkpoint(toy_file, tmp_path / "run", tell=said.append)
    assert taken.family == "toy"
    assert taken.told == (TOLD,)
    assert "chunks, rows" in taken.proof
    assert any("is of the family toy: a toy of the tests (it has toy.U)" in line for line in said)
    assert f"note: {TOLD}" in said
    loaded = checkpoint.load(taken.folder)
    tokens = np.random.default_rng(1).integers(VOCABULARY, size=(9, 2))
    expected = toy_run(toy_tensors(), tokens)
    with torch.no_grad():
        logits, state = loaded.model(torch.from_numpy(tokens.T), (torch.zeros(1, 2, HIDDEN),))
    np.testing.assert_allclose(logits.numpy().swapaxes(0, 1), expected["logits"], atol=1e-5)
    np.testing.assert_allclose(state[0].numpy(), expected["h"][-1], atol=1e-5)
    bundle = export_bundle(taken.folder, tmp_path / "b", to="onnx")
    origin = bundle.manifest.provenance.training["imported"]
    assert origin["family"] == "toy"
    assert origin["file"] == "toy.pt"
    assert origin["told"] == [TOLD]


def test_an_older_import_is_replaced_and_nothing_else(toy_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    import_checkpoint(toy_file, out)
    import_checkpoint(toy_file, out)
    config = json.loads((out / "config.json").read_text())
    del config["training"]["imported"]
    (out / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="is no import"):
        import_checkpoint(toy_file, out)
    with pytest.raises(UsageError, match="is there and is no import"):
        import_checkpoint(toy_file, toy_file)


def test_what_lies_beside_an_older_import_is_not_lost(toy_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    import_checkpoint(toy_file, out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"older import with notes\.txt in it"):
        import_checkpoint(toy_file, out)
    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "config.json").is_file()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"O": None}, r"not the whole of one network: it lacks head\.weight"),
        ({"X": np.ones(2, np.float32)}, r"it has toy\.X, which nothing takes"),
        ({"o": np.ones(3, np.float32)}, r"head\.bias is \[3\], expected \[26\]"),
        ({"o": np.full(26, np.nan, np.float32)}, r"not finite: head\.bias \(26 of 26"),
    ],
    ids=["missing", "unknown", "shape", "nan"],
)
def test_a_half_matching_file_writes_nothing(
    changed: dict[str, np.ndarray | None], words: str, tmp_path: Path
) -> None:
    path = spoil(tmp_path / "t.pt", **changed)
    with pytest.raises(CheckpointError, match=words):
        import_checkpoint(path, tmp_path / "run")
    assert [file.name for file in tmp_path.iterdir()] == ["t.pt"]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(dtype: str, tmp_path: Path) -> None:
    path = save(tmp_path / "t.pt", {n: a.astype(dtype) for n, a in toy_tensors().items()})
    taken = import_checkpoint(path, tmp_path / "run")
    found = checkpoint.load(taken.folder).model.state_dict()["head.weight"].numpy()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, toy_tensors()["toy.O"].astype(dtype).astype(np.float32))


def test_names_of_ones_own(tmp_path: Path) -> None:
    path = save(tmp_path / "t.pt", {f"my.{n[4:]}": array for n, array in toy_tensors().items()})
    with pytest.raises(UsageError, match=r"no family that is known.*my\.E \[26, 5\].*--map FILE"):
        import_checkpoint(path, tmp_path / "run")
    import_checkpoint(path, tmp_path / "run", wishes=Wishes(names={"my.*": "toy.*"}))


@pytest.mark.usefixtures("twins")
def test_two_families_that_fit_are_told_apart_by_the_user(toy_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"fits 2 families equally well: toy .*; twin .*--family"):
        import_checkpoint(toy_file, tmp_path / "run")
    assert import_checkpoint(toy_file, tmp_path / "run", family="twin").family == "twin"
    assert import_checkpoint(toy_file, tmp_path / "run", family="unsure").family == "unsure"
    with pytest.raises(UsageError, match=r"unknown family 'tow'.*did you mean toy"):
        import_checkpoint(toy_file, tmp_path / "run", family="tow")


def record(path: Path, **changed: np.ndarray) -> Path:
    """Write a recorded run of the toy, of 7 steps and 2 rows."""
    tokens = np.random.default_rng(2).integers(VOCABULARY, size=(7, 2))
    made = toy_run(toy_tensors(), tokens)
    arrays = {"in/tokens": tokens, "out/logits": made["logits"], "state/h": made["h"]}
    np.savez(path, **{**arrays, **changed})
    return path


def test_a_recorded_run_comes_out(toy_file: Path, tmp_path: Path) -> None:
    run = record(tmp_path / "run.npz", **{"state0/h": np.zeros((1, 2, HIDDEN))})
    taken = import_checkpoint(toy_file, tmp_path / "run", check=run)
    assert {each.name for each in taken.compared} == {"out/logits", "state/h"}
    assert max(each.worst for each in taken.compared) < 1e-6
    assert "the recorded run run.npz came out" in taken.proof


def test_a_run_that_does_not_come_out_writes_nothing(toy_file: Path, tmp_path: Path) -> None:
    with np.load(record(tmp_path / "run.npz")) as found:
        logits = found["out/logits"].copy()
    logits[4, 1, 3] += 0.5
    run = record(tmp_path / "run.npz", **{"out/logits": logits})
    with pytest.raises(CheckFailedError, match=r"out/logits is .*e-0[12] off at step 4, row 1"):
        import_checkpoint(toy_file, tmp_path / "run", check=run)
    assert not (tmp_path / "run").exists()
    import_checkpoint(toy_file, tmp_path / "run", check=run, tolerance=1.0)


def test_a_sample_is_a_text_or_its_ids(toy_file: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("some words")
    np.save(tmp_path / "ids.npy", np.arange(10, dtype=np.int32))
    for name in ("text.txt", "ids.npy"):
        taken = import_checkpoint(toy_file, tmp_path / "run", sample=tmp_path / name)
        tokens = checkpoint.load(taken.folder).evaluation[TOKENS]
        assert tokens.dtype == np.int64
        assert len(tokens) in {9, 10}  # the alphabet has no space
    np.save(tmp_path / "ids.npy", np.array([99]))
    with pytest.raises(UsageError, match="the id 99, the vocabulary has 26"):
        import_checkpoint(toy_file, tmp_path / "run", sample=tmp_path / "ids.npy")


def test_no_checkpoints_are_named_as_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "page.pt").write_text("<!DOCTYPE html><html></html>")
    (tmp_path / "empty.pt").write_bytes(b"")
    for name, words in (
        ("page.pt", "a web page"),
        ("empty.pt", "an empty file"),
        ("x", "not there"),
    ):
        with pytest.raises(EdgernnError, match=words):
            import_checkpoint(tmp_path / name, tmp_path / "run")
