"""What was written in schema version 1 is read, verified, resumed and exported as it was then.

``fixtures/version1/README.md`` says which commit wrote each file, and how.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import edgernn
from edgernn.cli.app import main

FILES = Path(__file__).parent / "fixtures" / "version1"
SCENE = Path(__file__).parent.parent / "benchmarks" / "pictures" / "scene.png"
FIRST, LAST, CAPTIONER = (
    FILES / f"{name}.edgernn" for name in ("language_first", "language_last", "captioner_last")
)
STEP = ("contract", "structure", "rollout", "invariance", "text", "greedy", "golden")
IN_GRAPH = ("contract", "structure", "decoding")
ARTIFACTS = {  # bundle → artifact → the checks that it passes
    FIRST: dict.fromkeys(("onnx/step.onnx", "torchscript/step.pt"), STEP),
    LAST: {
        **dict.fromkeys(("onnx/step.onnx", "onnx/step-int8.onnx"), STEP),
        **dict.fromkeys(("onnx/generate.onnx", "onnx/generate-int8.onnx"), IN_GRAPH),
        "coreml/step-float32.mlpackage": STEP,
        "coreml/step-int8.mlpackage": STEP,
        "coreml/step_mlstate-int8.mlpackage": STEP,
    },
    CAPTIONER: {
        **dict.fromkeys(("onnx/encode.onnx", "onnx/step.onnx"), STEP),
        "onnx/caption.onnx": IN_GRAPH,
    },
}
FOX = " brown fox jumps over the lazy dog.\nPack my box"
bundles = pytest.mark.parametrize("bundle", ARTIFACTS, ids=lambda path: path.stem)
Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command that must succeed in an empty folder; return its stdout."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["edgernn", *map(str, arguments)])
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return call


@pytest.fixture
def run_first(tmp_path: Path) -> Path:
    """The run folder of commit 02c4058, unpacked."""
    with zipfile.ZipFile(FILES / "run_first.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path / "run_first"


@bundles
def test_it_is_of_version_1_and_opens(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        assert json.loads(archive.read("manifest.json"))["schema_version"] == 1
    with edgernn.Bundle.open(bundle) as opened:
        assert {artifact.path for artifact in opened.manifest.artifacts} == set(ARTIFACTS[bundle])


@bundles
def test_it_verifies_in_every_check(bundle: Path) -> None:
    pytest.importorskip("torch")  # the reference
    if bundle == LAST:
        pytest.importorskip("coremltools")
    report = edgernn.verify_bundle(bundle, steps=16, seed=1)
    found = {
        own.path: {check.name: check.status for check in own.checks} for own in report.artifacts
    }
    expected = {path: dict.fromkeys(checks, "passed") for path, checks in ARTIFACTS[bundle].items()}
    assert found == expected
    assert report.passed


@bundles
def test_inspect_shows_every_artifact(bundle: Path, run: Run) -> None:
    text = run("inspect", bundle)
    assert all(path in text for path in ARTIFACTS[bundle])


@pytest.mark.parametrize(
    ("bundle", "artifact", "temperature", "text"),
    [
        (FIRST, "onnx/step.onnx", 0, " th wick th wick th "),
        (FIRST, "onnx/step.onnx", 0.8, " wick th booveaquirc"),  # as commit 4c643e2 draws
        (LAST, "onnx/step.onnx", 0, FOX),
        (LAST, "onnx/step-int8.onnx", 0, FOX),
        (LAST, "onnx/generate.onnx", 0.8, FOX),
        (LAST, "onnx/generate-int8.onnx", 0, FOX),
    ],
)
def test_generate_writes_what_was_written_then(
    bundle: Path, artifact: str, temperature: float, text: str, run: Run
) -> None:
    length = 20 if bundle == FIRST else 12  # characters; words
    options = ("--length", length, "--temperature", temperature, "--seed", 3, "--json")
    written = run("generate", bundle, "--artifact", artifact, "--prompt", "The quick", *options)
    assert json.loads(written)["text"] == text


@pytest.mark.parametrize(
    ("beam", "words", "score"),
    [
        (1, "small the the the the the small small small the small small", -13.348168),
        (3, "small the the the small the the the small the small small", -13.299386),
    ],
)
def test_caption_says_what_was_said_then(beam: int, words: str, score: float, run: Run) -> None:
    pytest.importorskip("PIL")
    said = json.loads(run("caption", CAPTIONER, SCENE, "--beam", beam, "--json"))
    assert said["caption"] == words
    assert said["score"] == pytest.approx(score, abs=1e-4)


def test_the_learned_first_state_is_that_of_the_run(run_first: Path) -> None:
    state = edgernn.open_session(FIRST).initial_state(batch=2)
    weights = load_file(run_first / "weights.safetensors")
    assert state.keys() == {"h", "c"}
    for name, array in state.items():
        learned = weights[f"first_state.{name}"]  # [L, 1, H]
        assert np.abs(learned).min() > 0
        np.testing.assert_array_equal(array, np.repeat(learned, 2, axis=1))  # [L, B, H]


def test_the_run_loads(run_first: Path) -> None:
    pytest.importorskip("torch")
    checkpoint = edgernn.load(run_first)
    assert checkpoint.training["step"] == 300
    assert checkpoint.tokenizer.encode("The ").shape == (4,)
    assert sum(own.numel() for own in checkpoint.model.parameters()) == 1600


def test_the_run_goes_on_to_the_weights_that_it_had_then(run_first: Path, run: Run) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    run("train", "text", "--out", run_first, "--resume", "--steps", 310)
    found = load_file(run_first / "weights.safetensors")
    expected = load_file(FILES / "run_first_310.safetensors")
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-5, err_msg=name)


def test_the_run_exports_the_tensors_that_it_gave_then(run_first: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("torch")
    from edgernn.export import export_bundle

    export_bundle(run_first, tmp_path / "again.edgernn", to=["onnx"], steps=16)
    assert _weights(tmp_path / "again.edgernn") == _weights(FIRST)
    sessions = [edgernn.open_session(path) for path in (tmp_path / "again.edgernn", FIRST)]
    states = [session.initial_state(batch=1) for session in sessions]
    for token in range(16):
        inputs = {"tokens": np.array([[token]])}
        (one, states[0]), (other, states[1]) = (
            session.step(inputs, state) for session, state in zip(sessions, states, strict=True)
        )
        np.testing.assert_array_equal(one["logits"], other["logits"])


def _weights(bundle: Path) -> Counter[tuple[str, tuple[int, ...], bytes]]:
    """Return the weights of ``onnx/step.onnx``, without their names, which torch numbers."""
    import onnx
    from onnx import numpy_helper

    with zipfile.ZipFile(bundle) as archive:
        model_proto = onnx.load_from_string(archive.read("onnx/step.onnx"))
    arrays = map(numpy_helper.to_array, model_proto.graph.initializer)
    return Counter((str(array.dtype), array.shape, array.tobytes()) for array in arrays)
