"""``edgernn inspect``, and the tables of export and verify, on a captioner: two graphs, scores, and
lone files.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from edgernn.bundle import Bundle
from edgernn.bundle.records import Artifact, ParityRecord
from edgernn.cli import tables
from edgernn.contract import STEP

Run = Callable[..., tuple[int, str, str]]
TRAINED = {
    "corpus": "scenes",
    "split": "400 validation pictures",
    "validation_loss": 0.25,
    "cider_d": 6.5,
    "bleu_4": 0.98,
    "rouge_l": 0.99,
    "exact_match": 0.875,
}


def row(out: str, name: str) -> list[str]:
    """Return the words of the one line that begins with ``name``."""
    (line,) = [line for line in out.splitlines() if line.startswith(name)]
    return line.split()


def test_a_checkpoint_with_the_scores_of_its_captions(
    captioner_folder: Path, run: Run, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(captioner_folder, tmp_path / "run"))
    assert "captions that it wrote" not in run("inspect", folder)[1]  # nothing was measured
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(
        json.dumps({**config, "training": TRAINED}), encoding="utf-8"
    )
    code, out, _ = run("inspect", "run")
    assert code == 0
    assert "parameters, caption tokens" in out
    assert "conditioning           soft-attention" in out
    assert "trained on scenes: 0.2500 nats/word (400 validation pictures)" in out
    assert (
        "captions that it wrote for them: cider_d 6.5000, bleu_4 0.9800, rouge_l 0.9900, "
        "exact_match 0.8750" in out
    )
    assert json.loads(run("inspect", "run", "--json")[1])["training"] == TRAINED


def test_weights_that_are_not_finite_are_told(
    checkpoint_folder: Path, run: Run, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(checkpoint_folder, tmp_path / "run"))
    assert "not_finite" not in run("inspect", "run", "--json")[1]
    weights = safetensors.numpy.load_file(folder / "weights.safetensors")
    weights["head.bias"][3] = np.inf
    safetensors.numpy.save_file(weights, folder / "weights.safetensors")
    code, out, _ = run("inspect", "run")
    wrong = "head.bias (1 of 34 values, the first inf)"
    assert code == 0
    assert f"weights that are not finite, so that it cannot be exported: {wrong}" in out
    assert json.loads(run("inspect", "run", "--json")[1])["not_finite"] == wrong


def test_a_bundle_says_which_graph_each_file_holds(captioner_bundle_folder: Path, run: Run) -> None:
    code, out, _ = run("inspect", captioner_bundle_folder)
    assert code == 0
    assert "captioner model" in out
    assert "first state: made by encode" in out
    assert row(out, "artifact")[:3] == ["artifact", "graph", "precision"]
    for path in (
        "onnx/encode.onnx",
        "torchscript/step.pt",
        "coreml/encode.mlpackage",
        "coreml/step_mlstate.mlpackage",
    ):
        assert row(out, path)[1] == ("encode" if "encode" in path else "step")
    assert row(out, "encode in")[2:6] == ["image", "input", "uint8", "batch,"]
    assert "step out    attention" in out


def test_a_bundle_of_one_graph_needs_no_such_column(bundle_folder: Path, run: Run) -> None:
    out = run("inspect", bundle_folder)[1]
    assert row(out, "artifact")[:2] == ["artifact", "precision"]
    assert row(out, "onnx/step.onnx")[1] == "float32"
    assert "first state: zeros" in out


@pytest.mark.parametrize("graph", ["encode", "step"])
@pytest.mark.parametrize("name", ["onnx/{}.onnx", "torchscript/{}.pt", "coreml/{}.mlpackage"])
def test_a_lone_file_says_what_it_computes(
    name: str, graph: str, captioner_bundle_folder: Path, run: Run
) -> None:
    code, out, _ = run("inspect", captioner_bundle_folder / name.format(graph))
    assert code == 0
    assert f"it computes {graph} of the contract (schema 2); first state: made by encode" in out
    own, contract = out.split("it computes")
    assert ("image" in own) == (graph == "encode")
    assert ("attention" in own) == (graph == "step")
    assert "image" in contract
    assert "attention" in contract


def test_export_and_verify_print_tables_of_both_graphs(captioner_folder: Path, run: Run) -> None:
    code, out, err = run("export", captioner_folder, "--out", "b", "--to", "onnx")
    assert code == 0
    assert "exporting onnx float32, encode" in err
    assert row(out, "onnx/encode.onnx")[1:3] == ["encode", "float32"]
    assert row(out, "onnx/step.onnx")[1:3] == ["step", "float32"]
    assert out.splitlines()[-1].startswith("wrote b, ")
    code, out, err = run("verify", "b", "--steps", 4)
    assert code == 0
    assert "verifying onnx/encode.onnx" in err
    for path in ("onnx/encode.onnx", "onnx/step.onnx"):
        assert row(out, f"{path} (float32)")[2:4] == ["contract", "passed"]
    assert "captions of 6 held-out pictures identical" in out
    assert "verified: 2 of 2 artifacts passed" in out


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_paths_are_whole_on_a_narrow_terminal(
    columns: int, captioner_bundle_folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", str(columns)), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    out = run("inspect", captioner_bundle_folder)[1]
    for path in ("onnx/encode.onnx", "torchscript/step.pt", "coreml/step_mlstate.mlpackage"):
        assert path in out.split()  # nothing is cut off or folded: it is what --artifact takes


@pytest.mark.parametrize(("graph", "what"), [("encode", "pictures"), (STEP, "steps")])
def test_parity_is_counted_in_what_the_graph_takes(
    graph: str, what: str, captioner_bundle_folder: Path
) -> None:
    record = ParityRecord(steps=16, worst=2e-6, tensor="h", tolerance=1e-4)
    whole = {
        "path": "a",
        "format": "onnx",
        "precision": "float32",
        "bytes": 1,
        "sha256": "0" * 64,
        "target": "",
        "exporter": "",
    }
    artifact = Artifact.model_validate({**whole, "graph": graph, "parity": record})
    contract = Bundle.open(captioner_bundle_folder).manifest.contract
    assert tables._parity(artifact, contract) == f"2.0e-06 over 16 {what}"


def test_arrays_of_other_programs_are_listed(run: Run, tmp_path: Path) -> None:
    arrays = {"b": np.zeros((2, 3), np.float16), "a": np.ones(4, np.int64)}
    safetensors.numpy.save_file(arrays, tmp_path / "t.safetensors", {"note": "mine"})
    np.savez(tmp_path / "t.npz", **arrays)
    np.save(tmp_path / "t.npy", arrays["b"])
    for name in ("t.safetensors", "t.npz"):
        code, out, _ = run("inspect", name)
        assert code == 0
        assert "2 arrays, 10 values" in out
        assert "  b float16 [2, 3]\n" in out
        assert f"edgernn export FILE.py:NAME --weights {name}" in out
    assert "1 array, 6 values" in run("inspect", "t.npy")[1]
    found = json.loads(run("inspect", "t.safetensors", "--json")[1])
    assert found["arrays"]["a"] == {"dtype": "int64", "shape": [4]}
    assert found["metadata"] == {"note": "mine"}
    (tmp_path / "t.npz").write_bytes((tmp_path / "t.npz").read_bytes()[:-30])
    code, _, err = run("inspect", "t.npz")
    assert code == 2
    assert len(err.splitlines()) == 1


def test_an_array_of_objects_is_listed_and_never_loaded(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{"a": 1}], object), allow_pickle=True)
    assert "o object [1]" in run("inspect", "o.npy")[1]


def test_a_saved_state_and_what_goes_on_from_it(bundle_folder: Path, run: Run) -> None:
    assert run("generate", bundle_folder, "--length", 2, "--save-state", "s.state")[0] == 0
    code, out, _ = run("inspect", "s.state")
    assert code == 0
    assert "is a saved state of edgernn generate: 3 arrays" in out
    assert "edgernn generate BUNDLE --load-state s.state" in out


@pytest.mark.parametrize("loss", [None, "low", True, [1]], ids=str)
def test_notes_of_the_training_may_be_anything(
    checkpoint_folder: Path, run: Run, tmp_path: Path, loss: object
) -> None:
    folder = Path(shutil.copytree(checkpoint_folder, tmp_path / "run"))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(
        json.dumps({**config, "training": {"validation_loss": loss, "cider_d": loss}})
    )
    code, out, _ = run("inspect", "run")
    assert code == 0
    assert f"{loss!r} nats/character" in out


def test_a_torchscript_file_of_another_program_is_named(run: Run, tmp_path: Path) -> None:
    class Doubled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x if bool(x.sum() > 0) else x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Doubled()).save(tmp_path / "other.pt")
    code, out, _ = run("inspect", tmp_path / "other.pt")
    assert code == 0
    assert "other.pt is a TorchScript file that edgernn did not export: 0 arrays" in out
    assert "it has no tensors" in out
    assert "do not use this file" not in out
