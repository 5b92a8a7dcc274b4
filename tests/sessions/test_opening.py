"""Whatever a user points at opens, or says why it does not."""

from __future__ import annotations

import gc
import json
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgernn.bundle import Bundle, pack
from edgernn.contract import FileContract
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import BundleError, ContractError, UnavailableError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.sessions.base import Session
from edgernn.sessions.opening import (
    describe_file,
    is_bundle,
    open_artifact,
    open_session,
    session_class,
)
from edgernn.sessions.ort.step import OrtSession
from edgernn.sessions.torchscript.session import TorchScriptSession

not_on_macos = pytest.mark.skipif(
    platform.system() == "Darwin", reason="Core ML is available on macOS"
)


@pytest.fixture(scope="module")
def learned(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A bundle of a model with a learned first state. Read only."""
    out = tmp_path_factory.mktemp("learned") / "bundle"
    export_bundle(
        Checkpoint(make_model(learned_initial_state=True), tokenizer), out, to=["onnx"], steps=4
    )
    return out


def logits(session: Session) -> np.ndarray:
    _, state = session.step({"tokens": np.array([[1, 2, 3]], np.int64)}, session.initial_state())
    return session.step({"tokens": np.array([[4]], np.int64)}, state)[0]["logits"]


def test_a_bundle_opens_by_path_text_or_object(bundle_folder: Path, bundle: Bundle) -> None:
    sessions = [open_session(bundle_folder), open_session(str(bundle_folder)), open_session(bundle)]
    assert all(isinstance(session, OrtSession) for session in sessions)
    assert all(
        session.file_contract == bundle.file_contract(bundle.artifact("onnx"))
        for session in sessions
    )
    assert all(np.array_equal(logits(session), logits(sessions[0])) for session in sessions)


@pytest.mark.parametrize("name", ["torchscript", "torchscript/step.pt"])
def test_an_artifact_of_a_bundle_opens_by_format_or_path(bundle_folder: Path, name: str) -> None:
    session = open_session(bundle_folder, name)
    assert isinstance(session, TorchScriptSession)
    assert np.abs(logits(session) - logits(open_session(bundle_folder))).max() < 1e-5


@pytest.mark.parametrize(
    ("own", "other"), [("coreml", "coreml-mlstate"), ("onnx", "coreml-mlstate")]
)
def test_who_keeps_the_state_is_said_once(bundle: Bundle, own: str, other: str) -> None:
    artifact = bundle.artifact(own).model_copy(update={"format": other})
    with pytest.raises(ContractError, match=f"is called {other}, whose runtime keeps the state, a"):
        open_artifact(bundle, artifact, OrtSession)


def test_an_unknown_artifact_is_refused(bundle_folder: Path) -> None:
    with pytest.raises(UsageError, match="no artifact 'tflite'"):
        open_session(bundle_folder, "tflite")


@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_a_single_file_bundle_opens_and_steps_after_its_folder_is_gone(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    pack(bundle_folder, tmp_path / "tiny.edgernn")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    session = open_session(tmp_path / "tiny.edgernn", name)
    gc.collect()
    assert list((tmp_path / "scratch").iterdir()) == []
    assert np.array_equal(logits(session), logits(open_session(bundle_folder, name)))


@pytest.mark.parametrize("inner", ["onnx/step.onnx", "torchscript/step.pt"])
def test_a_lone_file_opens_by_the_contract_that_it_carries(
    bundle_folder: Path, tmp_path: Path, inner: str
) -> None:
    lone = Path(shutil.copy(bundle_folder / inner, tmp_path / Path(inner).name))
    bundle = Bundle.open(bundle_folder)
    session = open_session(lone)
    assert session.file_contract == bundle.file_contract(bundle.artifact(inner))
    assert np.array_equal(logits(session), logits(open_session(bundle, inner)))


@not_on_macos
@pytest.mark.parametrize("name", ["coreml", "coreml-mlstate"])
def test_what_only_macos_runs_is_unavailable(bundle_folder: Path, name: str) -> None:
    artifact = Bundle.open(bundle_folder).artifact(name)
    with pytest.raises(UnavailableError, match="macOS"):
        open_session(bundle_folder, name)
    with pytest.raises(UnavailableError, match="macOS"):
        open_session(bundle_folder / artifact.path)


@not_on_macos
def test_by_default_the_first_artifact_that_runs_here_opens(
    bundle_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "reordered"))
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    raw["artifacts"] = sorted(
        raw["artifacts"], key=lambda artifact: not artifact["format"].startswith("coreml")
    )
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    assert isinstance(open_session(folder), OrtSession)


def test_a_learned_first_state_comes_with_the_bundle(
    learned: Path, make_model: Callable[..., LanguageModel]
) -> None:
    model = make_model(learned_initial_state=True)
    for source in (learned, Bundle.open(learned)):
        state = open_session(source).initial_state(2)
        for name, array in state.items():
            assert np.array_equal(
                array, np.repeat(model.first_state[name].detach().numpy(), 2, axis=1)
            )


def test_a_lone_file_with_a_learned_first_state_asks_for_its_bundle(learned: Path) -> None:
    session = open_session(learned / "onnx" / "step.onnx")
    with pytest.raises(ContractError, match="open the model through its bundle"):
        session.initial_state()
    given = open_session(learned).initial_state()  # a caller who has the values needs no bundle
    session.step({"tokens": np.array([[1]], np.int64)}, given)


def test_an_artifact_opens_as_the_manifest_says(bundle: Bundle) -> None:
    artifact = bundle.artifact("torchscript")
    assert isinstance(open_artifact(bundle, artifact), TorchScriptSession)
    assert open_artifact(bundle, artifact).file_contract == bundle.file_contract(artifact)


@pytest.mark.parametrize(
    "name", ["missing", "missing.edgernn", "missing.onnx", "missing.mlpackage"]
)
def test_nothing_at_the_path_says_how_to_make_something(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        BundleError, match=rf"no bundle.* at .*{name}; make one with: edgernn export"
    ):
        open_session(tmp_path / name)


@pytest.mark.parametrize("name", ["model.mlmodelc", "model", "model.ONNXX"])
def test_a_file_of_an_unknown_suffix_lists_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(
        UsageError,
        match=r"neither a bundle nor a model file.*\.edgernn, \.mlpackage, \.onnx, \.pt\b",
    ):
        open_session(tmp_path / name)


def test_a_folder_that_is_no_bundle_says_so(tmp_path: Path, checkpoint_folder: Path) -> None:
    for folder in (tmp_path, checkpoint_folder):
        with pytest.raises(BundleError, match=r"has no manifest\.json: it is not a bundle"):
            open_session(folder)


@pytest.mark.parametrize("name", ["x.onnx", "x.pt"])
def test_a_damaged_model_file_breaks_the_contract(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no model")
    with pytest.raises(ContractError, match=name):
        open_session(tmp_path / name)


def test_a_model_file_that_edgernn_did_not_export_says_so(
    bundle_folder: Path, tmp_path: Path
) -> None:
    import onnx

    model = onnx.load(str(bundle_folder / "onnx" / "step.onnx"))
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "foreign.onnx"))
    with pytest.raises(
        ContractError, match=r"foreign\.onnx has no 'edgernn' entry.*edgernn did not export it"
    ):
        open_session(tmp_path / "foreign.onnx")


@pytest.mark.parametrize("name", ["onnx", "torchscript", "coreml", "coreml-mlstate"])
def test_a_lone_file_is_described_with_its_row(bundle: Bundle, name: str) -> None:
    artifact = bundle.artifact(name)
    row, description = describe_file(bundle.path(artifact.path))
    assert row.name == name
    assert FileContract.from_metadata(description.metadata, source="x") == bundle.file_contract(
        artifact
    )


def test_describing_nothing_and_an_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file or folder at"):
        describe_file(tmp_path / "missing.onnx")
    with pytest.raises(UsageError, match="neither a bundle nor a model file"):
        describe_file(tmp_path)


def test_what_can_only_be_meant_as_a_bundle(bundle_folder: Path, tmp_path: Path) -> None:
    assert is_bundle(bundle_folder)
    assert is_bundle(tmp_path)
    assert is_bundle(tmp_path / "missing.edgernn")
    assert not is_bundle(tmp_path / "missing")
    assert not is_bundle(bundle_folder / "onnx" / "step.onnx")
    assert not is_bundle(bundle_folder / "coreml" / "step.mlpackage")


def ignoring_case(exact: Callable[..., bool]) -> Callable[..., bool]:
    """Make a question about a path true also where a file's name differs only in case."""

    def ask(path: Path, **options: bool) -> bool:
        return exact(path, **options) or any(
            exact(near, **options)
            for near in path.parent.glob("*")
            if near.name.lower() == path.name.lower()
        )

    return ask


def test_a_package_is_no_bundle_where_file_names_ignore_case(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A Core ML package holds a Manifest.json, and macOS finds it under the name manifest.json.
    for method in ("exists", "is_file"):
        monkeypatch.setattr(Path, method, ignoring_case(getattr(Path, method)))
    assert (bundle_folder / "coreml" / "step.mlpackage" / "manifest.json").exists()
    assert not is_bundle(bundle_folder / "coreml" / "step.mlpackage")
    assert is_bundle(bundle_folder)


def test_the_session_of_a_format() -> None:
    assert session_class("onnx") is OrtSession
    with pytest.raises(UsageError, match="unknown format 'tflite'"):
        session_class("tflite")
