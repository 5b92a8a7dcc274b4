"""A captioner's files in every runtime: from the same picture the same contexts, states and words
as eager torch.
"""

from __future__ import annotations

import contextlib
import io
import json
import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import FileContract, file_problems
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError, UnavailableError
from edgernn.models.eager import EagerSession
from edgernn.sessions.base import Session, State
from edgernn.sessions.coreml import CoreMLSession
from edgernn.sessions.mil.session import MilSession
from edgernn.sessions.opening import encoder_of, open_artifact, open_session
from edgernn.sessions.ort.step import OrtSession
from edgernn.sessions.torchscript.session import TorchScriptSession

with contextlib.redirect_stderr(io.StringIO()):  # one line per library that exists on macOS only
    import coremltools as ct

RUNTIMES: dict[str, tuple[type[Session], float]] = {  # format → session, and how near it is
    "onnx": (OrtSession, 1e-5),
    "torchscript": (TorchScriptSession, 1e-5),
    "coreml": (MilSession, 2e-2),
    "coreml-mlstate": (MilSession, 2e-2),
}
MODEL = Path("Data", "com.apple.CoreML", "model.mlmodel")


def both(bundle: Bundle, name: str) -> tuple[Session, Session]:
    """Open the encode and the step file of a format."""
    kind, _ = RUNTIMES[name]
    step = bundle.artifact(name)
    return open_artifact(bundle, encoder_of(bundle, step), kind), open_artifact(bundle, step, kind)


@pytest.fixture
def eager(captioner_folder: Path, captioner_bundle: Bundle) -> tuple[Session, Session]:
    contract = captioner_bundle.manifest.contract
    encode, step = (
        EagerSession.open(captioner_folder, FileContract(contract=contract, graph=g.name))
        for g in contract.graphs
    )
    return encode, step


def scaled(found: np.ndarray, expected: np.ndarray) -> float:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.float32
    return float(np.abs(found - expected).max() / max(1, np.abs(expected).max()))


def chained(
    sessions: tuple[Session, Session], image: np.ndarray, words: np.ndarray
) -> tuple[dict[str, np.ndarray], State, list]:
    contexts, state = sessions[0].encode({"image": image})
    first, made = dict(state), []
    for t in range(words.shape[1]):
        outputs, state = sessions[1].step({"tokens": words[:, t : t + 1], **contexts}, state)
        made.append({**outputs, **state})
    return contexts, first, made


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_caption_is_heard_as_eager_torch_hears_it(
    captioner_bundle: Bundle,
    eager: tuple[Session, Session],
    pictures: np.ndarray,
    caption_ids: np.ndarray,
    name: str,
) -> None:
    sessions, limit = both(captioner_bundle, name), RUNTIMES[name][1]
    rows = sessions[1].file_contract.axis_size("batch") or 3
    assert rows == (1 if name.startswith("coreml") else 3)
    image, words = pictures[:rows], caption_ids[:rows, 0, :6]
    found, expected = chained(sessions, image, words), chained(eager, image, words)
    for have, want in [
        *zip(found[:2], expected[:2], strict=True),
        *zip(found[2], expected[2], strict=True),
    ]:
        assert list(have) == list(want)
        for tensor in want:
            assert scaled(have[tensor], want[tensor]) < limit, tensor
    np.testing.assert_allclose([step["attention"].sum() for step in found[2]], rows, atol=1e-2)


@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_a_lone_encode_file_opens_by_the_contract_that_it_carries(
    captioner_bundle: Bundle, pictures: np.ndarray, tmp_path: Path, name: str
) -> None:
    artifact = encoder_of(captioner_bundle, captioner_bundle.artifact(name))
    lone = Path(
        shutil.copy(captioner_bundle.path(artifact.path), tmp_path / Path(artifact.path).name)
    )
    session, whole = open_session(lone), open_artifact(captioner_bundle, artifact)
    assert session.spec.name == "encode"
    for found, expected in zip(
        session.encode({"image": pictures}), whole.encode({"image": pictures}), strict=True
    ):
        assert all(np.array_equal(found[tensor], expected[tensor]) for tensor in expected)


def test_without_a_name_the_first_step_opens(captioner_bundle: Bundle) -> None:
    for name in (None, "onnx", "torchscript"):
        assert open_session(captioner_bundle, name).spec.name == "step"
    assert open_session(captioner_bundle, "onnx/encode.onnx").spec.name == "encode"


def test_a_step_goes_with_the_encode_of_its_family_and_precision(
    captioner_bundle: Bundle, tmp_path: Path
) -> None:
    names = {
        row: encoder_of(captioner_bundle, captioner_bundle.artifact(row)).path for row in RUNTIMES
    }
    assert names == {
        "onnx": "onnx/encode.onnx",
        "torchscript": "torchscript/encode.pt",
        "coreml": "coreml/encode.mlpackage",
        "coreml-mlstate": "coreml/encode.mlpackage",
    }
    folder = Path(shutil.copytree(captioner_bundle.folder, tmp_path / "bundle"))
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    raw["artifacts"] = [a for a in raw["artifacts"] if a["path"] != "onnx/encode.onnx"]
    (folder / "manifest.json").write_text(json.dumps(raw), encoding="utf-8")
    (folder / "onnx" / "encode.onnx").unlink()
    lacking = Bundle.open(folder)
    with pytest.raises(
        ContractError,
        match=r"has no encode file of onnx for onnx/step.onnx; export the bundle again",
    ):
        encoder_of(lacking, lacking.artifact("onnx"))


def test_a_core_ml_encoder_takes_a_pixel_buffer(captioner_bundle: Bundle) -> None:
    interface = CoreMLSession.describe(captioner_bundle.path("coreml/encode.mlpackage")).interface
    assert interface.inputs == (FileTensor("image", "picture", (1, 32, 32, 3)),)
    assert {tensor.name: tensor.dtype for tensor in interface.outputs} == dict.fromkeys(
        ("features", "feature_keys", "h", "c"), "float32"
    )


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        ("BGR", "image is BGR picture, expected picture"),
        ("GRAYSCALE", "image has shape [1, 32, 32, 1], expected [1, 32, 32, 3]"),
    ],
)
def test_pictures_of_another_colour_space_are_told_apart(
    captioner_bundle: Bundle, tmp_path: Path, space: str, problem: str
) -> None:
    package = Path(
        shutil.copytree(
            captioner_bundle.path("coreml/encode.mlpackage"), tmp_path / "other.mlpackage"
        )
    )
    spec = ct.proto.Model_pb2.Model.FromString((package / MODEL).read_bytes())
    kinds = ct.proto.FeatureTypes_pb2.ImageFeatureType.ColorSpace
    spec.description.input[0].type.imageType.colorSpace = kinds.Value(space)
    (package / MODEL).write_bytes(spec.SerializeToString())
    artifact = captioner_bundle.artifact("coreml/encode.mlpackage")
    problems = file_problems(
        CoreMLSession.describe(package), captioner_bundle.file_contract(artifact)
    )
    assert problems == [problem]


@pytest.mark.skipif(platform.system() == "Darwin", reason="Core ML is available on macOS")
def test_elsewhere_than_on_macos_core_ml_is_unavailable(captioner_bundle: Bundle) -> None:
    for path in ("coreml/encode.mlpackage", "coreml/step.mlpackage"):
        with pytest.raises(UnavailableError, match="Core ML predicts on macOS and iOS only"):
            open_session(captioner_bundle, path)


def test_core_ml_is_given_a_pillow_picture(captioner_bundle: Bundle, pictures: np.ndarray) -> None:
    artifact = captioner_bundle.artifact("coreml/encode.mlpackage")
    file_contract = captioner_bundle.file_contract(artifact)
    given: dict[str, Any] = {}

    class Stub:
        def predict(self, feeds: dict[str, Any]) -> dict[str, np.ndarray]:
            given.update(feeds)
            shapes = {tensor.name: tensor.shape for tensor in file_contract.interface().outputs}
            return {name: np.full(shape or (), 0.5, np.float32) for name, shape in shapes.items()}

    contexts, state = CoreMLSession(Stub(), file_contract).encode({"image": pictures[2:3]})
    assert (given["image"].mode, given["image"].size) == ("RGB", (32, 32))
    assert np.array_equal(np.asarray(given["image"]), pictures[2])
    assert [*contexts, *state] == ["features", "feature_keys", "h", "c"]


def test_an_interpreted_picture_is_read_red_first(
    captioner_bundle: Bundle, eager: tuple[Session, Session]
) -> None:
    """Planes in another order, or rows taken for columns, would show: this picture is another one
    turned either way.
    """
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    picture[0, :16, :, 0], picture[0, :, :8, 2] = 250, 90
    encode, _ = both(captioner_bundle, "coreml")
    found, expected = (
        session.encode({"image": picture})[0]["features"] for session in (encode, eager[0])
    )
    assert scaled(found, expected) < 5e-3
    for other in (picture[..., ::-1], picture.transpose(0, 2, 1, 3)):
        turned = eager[0].encode({"image": np.ascontiguousarray(other)})[0]["features"]
        assert scaled(found, turned) > 5e-2
