"""A foreign ONNX file to a bundle, by the commands and from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from foreign_files import (
    FEATURES,
    FLOAT,
    HIDDEN,
    OUT,
    given_file,
    graph_file,
    hidden_file,
    value,
    weights,
)
from onnx import helper

from edgernn import open_session, verify_bundle
from edgernn.bundle import Bundle
from edgernn.errors import ContractError, UsageError
from edgernn.export.foreign_file import export_onnx
from edgernn.hoisting.onnx.step import Wishes


def edgernn(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgernn", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("foreign") / "badly.onnx"
    return given_file(path, "GRU", ["feat.in", "foo"], ["some", "bar/2"])


@pytest.fixture(scope="module")
def bundle(foreign: Path) -> Bundle:
    done = edgernn("export", foreign, "--out", foreign.with_suffix(".edgernn"))
    assert done.returncode == 0, done.stderr
    assert "1 state, the same as the file over 256 steps" in done.stderr
    return Bundle.open(foreign.with_suffix(".edgernn"))


def test_it_is_a_public_name() -> None:
    import edgernn.export as public

    assert public.export_onnx is public.export_onnx is export_onnx
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = public.nothing


def test_every_check_passes(bundle: Bundle) -> None:
    done = edgernn("verify", bundle.source, "--steps", "48", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    report = verify_bundle(bundle, steps=32)
    assert report.reference == "the file that the model came as, from the bundle"
    statuses = {check.name: check.status for check in report.artifacts[0].checks}
    assert statuses.pop("greedy") == "not run"
    assert set(statuses.values()) == {"passed"}


def test_the_manifest_says_what_became_of_the_file(bundle: Bundle, foreign: Path) -> None:
    told = bundle.manifest.provenance.model
    assert told["module"] == "badly.onnx"
    assert told["onnx"]["sha256"] == sha256(foreign.read_bytes()).hexdigest()
    assert told["renamed"] == {"feat.in": "feat_in", "bar/2": "foo_next"}
    assert "reference/step.onnx" in bundle.manifest.files
    props = onnx.load(str(bundle.path("onnx/step.onnx"))).metadata_props
    (source,) = [prop.value for prop in props if prop.key == "edgernn.source"]
    assert json.loads(source)["renamed"] == told["renamed"]
    weights = 3 * HIDDEN * (FEATURES + 3 * HIDDEN + 4) + OUT * (HIDDEN + 1)
    assert bundle.manifest.provenance.parameters >= weights


def test_it_steps_as_the_file_does(bundle: Bundle, foreign: Path) -> None:
    session = open_session(bundle, "onnx/step.onnx")
    run = onnxruntime.InferenceSession(str(foreign), providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal((3, 256, FEATURES), np.float32)
    wanted, left = run.run(None, {"feat.in": x, "foo": np.zeros((2, 3, HIDDEN), np.float32)})
    state = session.initial_state(3)
    for at in range(256):
        outputs, state = session.step({"feat_in": x[:, at : at + 1]}, state)
        assert np.abs(outputs["some"][:, 0] - wanted[:, at]).max() < 1e-5
    assert np.abs(state["foo"] - left).max() < 1e-5


def test_a_file_that_is_changed_is_not_what_the_bundle_says(tmp_path: Path) -> None:
    other = hidden_file(tmp_path / "other.onnx", "GRU")
    made = export_onnx(other, tmp_path / "b")
    content = (made.folder / "reference/step.onnx").read_bytes()
    (made.folder / "reference/step.onnx").write_bytes(content[:-1] + b"\0")
    with pytest.raises(Exception, match="SHA-256"):
        Bundle.open(made.folder)


def test_a_sample_is_carried_and_must_fit(tmp_path: Path, foreign: Path) -> None:
    x = np.random.default_rng(0).standard_normal((100, FEATURES))
    np.savez(tmp_path / "sample.npz", **{"feat.in": x})
    done = edgernn("export", foreign, "--out", tmp_path / "b", "--sample", tmp_path / "sample.npz")
    assert done.returncode == 0, done.stderr
    report = verify_bundle(tmp_path / "b", steps=16)
    text = next(c for c in report.artifacts[0].checks if c.name == "text")
    assert "100 steps" in text.detail
    with pytest.raises(UsageError, match="feat_in of the sample is"):
        export_onnx(foreign, tmp_path / "c", sample={"feat.in": x[:, 1:]})
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "pt"], "unknown format"),
        (["--state", "foo"], "expected IN=OUT"),
        (["--left-context", "foo=x"], "expected a number of frames"),
        (["--in-graph"], "--in-graph says nothing of an ONNX file"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, foreign: Path, arguments: list[str], words: str
) -> None:
    done = edgernn("export", foreign, "--out", tmp_path / "b", *arguments)
    assert done.returncode == 2
    assert done.stderr.rstrip().count("\n") <= 2 and words in done.stderr.splitlines()[-1]
    assert not (tmp_path / "b").exists()


def test_its_options_are_not_for_a_run(tmp_path: Path, checkpoint_folder: Path) -> None:
    done = edgernn("export", checkpoint_folder, "--out", tmp_path / "b", "--set", "sr=1")
    assert done.returncode == 2
    assert "--set says nothing of a run of edgernn train" in done.stderr


def test_explain_tells_what_was_found(foreign: Path) -> None:
    done = edgernn("explain", foreign)
    assert done.returncode == 0, done.stderr
    assert "  foo float32 [layers=2, batch, foo_width=8]" in done.stdout.splitlines()
    assert "starts at zeros; foo goes on as bar/2, by the recurrent operators" in done.stdout
    assert "renamed: bar/2 is foo_next" in done.stdout
    assert "onnx float32: yes" in done.stdout
    found = json.loads(edgernn("explain", foreign, "--json").stdout)
    assert found["states"][0]["tensor"]["name"] == "foo"
    done = edgernn("explain", foreign.parent / "nothing.onnx")
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_an_artifact_that_is_not_the_file_is_refused(
    tmp_path: Path, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgernn.export.to_onnx import exporter

    passes = exporter.passes

    def spoil(model_proto: onnx.ModelProto) -> None:
        (bias,) = [t for t in model_proto.graph.initializer if list(t.dims) == [OUT]]
        bias.CopyFrom(onnx.numpy_helper.from_array(np.ones(OUT, np.float32), bias.name))

    def spoiling(*given: object, **more: object) -> tuple[exporter.Pass, ...]:
        return (exporter.Pass("spoil", spoil), *passes(*given, **more))

    monkeypatch.setattr(exporter, "passes", spoiling)
    with pytest.raises(ContractError, match="from the reference"):
        export_onnx(foreign, tmp_path / "b")


FORMATS = [
    ("onnx", "float16"),
    ("onnx", "int8"),
    ("onnx", "int4"),
    ("torchscript", None),
    ("coreml", None),
    ("coreml", "int8"),
]


@pytest.mark.parametrize(("to", "precision"), FORMATS)
def test_other_formats_are_written_of_its_operators(
    tmp_path: Path, foreign: Path, to: str, precision: str | None
) -> None:
    if to == "coreml":
        pytest.importorskip("coremltools")
    made = export_onnx(foreign, tmp_path / "b", to=to, precision=precision)
    report = verify_bundle(made, steps=48)
    assert report.passed and report.complete
    integers = {weight.dtype for a in made.manifest.artifacts for weight in a.weights}
    assert precision is None or {"float16": "float16"}.get(precision, precision) in integers


def odd_file(path: Path) -> Path:
    """A cell whose output goes through an operator that torch's table here lacks."""
    node, random = helper.make_node, np.random.default_rng(0)
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("MatMul", ["h", "u"], ["b"]),
        node("Add", ["a", "b"], ["s"]),
        node("Celu", ["s"], ["bent"], name="odd"),
        node("Tanh", ["bent"], ["h_out"]),
        node("MatMul", ["h_out", "m"], ["y"]),
    ]
    shape = ["batch", HIDDEN]
    return graph_file(
        path,
        nodes,
        [value("x", FLOAT, ["batch", FEATURES]), value("h", FLOAT, shape)],
        [value("y", FLOAT, ["batch", OUT]), value("h_out", FLOAT, shape)],
        {
            "w": weights(random, FEATURES, HIDDEN),
            "u": weights(random, HIDDEN, HIDDEN),
            "m": weights(random, HIDDEN, OUT),
        },
    )


def test_an_operator_without_a_translation_is_named(tmp_path: Path) -> None:
    path = odd_file(tmp_path / "f.onnx")
    assert verify_bundle(export_onnx(path, tmp_path / "b"), steps=16).passed
    for to, precision in (("coreml", None), ("onnx", "int8"), ("torchscript", None)):
        with pytest.raises(UsageError, match=r"Celu \(odd\) is no operator that is known here"):
            export_onnx(path, tmp_path / "c", to=to, precision=precision)
    done = edgernn("explain", path)
    assert "onnx float32: yes" in done.stdout
    assert "coreml float16: no, Celu (odd)" in done.stdout


def test_a_name_that_core_ml_keeps_can_be_changed(tmp_path: Path) -> None:
    pytest.importorskip("coremltools")
    path = given_file(tmp_path / "f.onnx", "GRU", ["x", "state"], ["y", "stateN"])
    with pytest.raises(UsageError, match="--rename state=h"):
        export_onnx(path, tmp_path / "b", to="coreml")
    made = export_onnx(path, tmp_path / "b", to="coreml", wishes=Wishes(renamed={"state": "h"}))
    assert [state.name for state in made.manifest.contract.step.states] == ["h"]
    with pytest.raises(UsageError, match="--rename names 'stat', which is no input"):
        export_onnx(path, tmp_path / "c", wishes=Wishes(renamed={"stat": "h"}))
