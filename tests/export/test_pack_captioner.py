"""From a captioner's checkpoint to a bundle: both graphs of every format once, and what a host
needs to caption with it.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from edgernn.bundle import Bundle
from edgernn.bundle.manifest import parse_manifest
from edgernn.data.pictures.caption_ids import END_ID, PAD_ID, START_ID, UNKNOWN_ID
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.captions import greedy_captions
from edgernn.errors import CheckpointError, ContractError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.export.to_onnx.exporter import OnnxExporter
from edgernn.models import checkpoint
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.weights import named_tensors
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.model import Model
from edgernn.sessions.opening import open_session

MakeCaptioner = Callable[..., Captioner]
ONNX, COREML = (
    ["onnx/encode.onnx", "onnx/step.onnx"],
    ["coreml/encode.mlpackage", "coreml/step.mlpackage"],
)
TORCHSCRIPT, KEPT = (
    ["torchscript/encode.pt", "torchscript/step.pt"],
    "coreml/step_mlstate.mlpackage",
)


def paths(bundle: Bundle) -> list[str]:
    return [artifact.path for artifact in bundle.manifest.artifacts]


def test_a_bundle_holds_both_graphs_of_every_format(captioner_bundle: Bundle) -> None:
    manifest = captioner_bundle.manifest
    assert paths(captioner_bundle) == [*ONNX, *TORCHSCRIPT, *COREML, KEPT]
    assert [artifact.graph for artifact in manifest.artifacts] == ["encode", "step"] * 3 + ["step"]
    assert manifest.family == "captioner"
    assert manifest.evaluation == "evaluation/held_out.safetensors"
    assert (manifest.reference, manifest.golden, manifest.initial_state) == (
        "reference",
        "golden.safetensors",
        None,
    )
    assert manifest.tokenizer.kind == "caption"
    assert parse_manifest(manifest.to_json(), source="it") == manifest
    for artifact in manifest.artifacts:
        measured = artifact.parity
        if artifact.format.startswith("coreml"):
            continue  # measured where Core ML runs
        assert measured is not None
        assert 0 <= measured.worst < measured.tolerance / 5, artifact.path


def test_how_captions_are_written_stands_in_the_manifest(captioner_bundle: Bundle) -> None:
    decoding = captioner_bundle.manifest.decoding
    assert (decoding.start, decoding.stop, decoding.length, decoding.temperature) == (
        (START_ID,),
        (END_ID,),
        7,
        0,
    )
    assert set(decoding.suppress) == {PAD_ID, START_ID, UNKNOWN_ID}
    for artifact in captioner_bundle.manifest.artifacts:
        assert captioner_bundle.file_contract(artifact).decoding == decoding


def test_what_to_measure_on_is_the_checkpoints_sample(
    captioner_bundle: Bundle, captioner_folder: Path
) -> None:
    sample = safetensors.numpy.load_file(captioner_bundle.path("evaluation/held_out.safetensors"))
    outer = checkpoint.load(captioner_folder)
    assert sample.keys() == outer.evaluation.keys()
    assert all(np.array_equal(sample[name], outer.evaluation[name]) for name in sample)
    inner = checkpoint.load(captioner_bundle.path("reference")).model
    wanted = outer.model.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in inner.state_dict().items())


def test_the_golden_run_begins_with_a_picture(captioner_bundle: Bundle) -> None:
    golden = safetensors.numpy.load_file(captioner_bundle.path("golden.safetensors"))
    steps = captioner_bundle.manifest.contract.sizes["vocab"]
    assert {
        name: array.shape
        for name, array in golden.items()
        if name in ("image", "tokens", "h", "features")
    } == {
        "image": (1, 32, 32, 3),
        "tokens": (steps, 1, 1),
        "h": (1, 1, 8),
        "features": (1, 16, captioner_bundle.manifest.contract.sizes["feature_width"]),
    }
    contexts, state = open_session(captioner_bundle, "onnx/encode.onnx").encode(
        {"image": golden["image"]}
    )
    for name, array in {**contexts, **state}.items():
        np.testing.assert_allclose(array, golden[name], atol=1e-4)


@pytest.mark.parametrize(
    ("to", "precision", "expected"),
    [
        (["onnx"], None, ONNX),
        (["coreml-mlstate"], None, [COREML[0], KEPT]),
        (
            ["coreml"],
            ["float16", "float32"],
            [*COREML, "coreml/encode-float32.mlpackage", "coreml/step-float32.mlpackage", KEPT],
        ),
    ],
    ids=str,
)
def test_every_graph_is_written_once(
    captioner_folder: Path,
    tmp_path: Path,
    to: list[str],
    precision: list[str] | None,
    expected: list[str],
) -> None:
    told: list[str] = []
    bundle = export_bundle(
        captioner_folder, tmp_path / "b", to=to, precision=precision, steps=4, tell=told.append
    )
    assert paths(bundle) == expected
    written = [line for line in told if not line.startswith("warning: ")]
    assert len(written) == len(expected)
    assert all(line.endswith((", encode", ", step")) for line in written)


def test_a_single_file_captions_without_anything_else(
    captioner_folder: Path, captioner_bundle: Bundle, pictures: np.ndarray, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(captioner_folder, tmp_path / "run"))
    packed = export_bundle(copy, tmp_path / "tiny.edgernn", to=["onnx"], steps=4)
    shutil.rmtree(copy)
    assert packed.manifest.files == {
        name: entry
        for name, entry in captioner_bundle.manifest.files.items()
        if name in packed.manifest.files
    }
    bundle = Bundle.open(tmp_path / "tiny.edgernn")
    sessions = Model(*(open_session(bundle, path) for path in reversed(ONNX)))
    others = Model(*(open_session(captioner_bundle, path) for path in reversed(ONNX)))
    captions = greedy_captions(sessions, pictures, bundle.manifest.decoding)
    assert captions == greedy_captions(others, pictures, bundle.manifest.decoding)
    assert len({tuple(caption) for caption in captions}) > 3


def test_a_release_has_neither_reference_nor_sample_and_still_verifies(
    captioner_folder: Path, tmp_path: Path
) -> None:
    bundle = export_bundle(captioner_folder, tmp_path / "b", to=["onnx"], release=True, steps=4)
    assert (bundle.manifest.reference, bundle.manifest.evaluation) == (None, None)
    report = verify_bundle(bundle, steps=4)
    assert report.passed
    for artifact in report.artifacts:
        states = {check.name: check.status for check in artifact.checks}
        assert states == {
            "contract": "passed",
            "structure": "passed",
            "rollout": "not run",
            "invariance": "passed",
            "text": "not run",
            "greedy": "not run",
            "golden": "passed",
        }


def test_first_states_of_zeros_need_no_encode_states(
    make_captioner: MakeCaptioner, caption_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_captioner(conditioning="every-step", cell="gru")
    bundle = export_bundle(
        Checkpoint(model, caption_tokenizer), tmp_path / "b", to=["onnx"], steps=4
    )
    assert bundle.manifest.contract.initial_state == {}
    assert bundle.manifest.evaluation is None
    golden = safetensors.numpy.load_file(bundle.path("golden.safetensors"))
    assert golden["image_gates"].shape == (1, 24)
    assert golden["h"].any()  # a golden run starts from a state that is not zero
    assert verify_bundle(bundle, steps=4).passed


def test_a_captioner_is_not_changed_by_its_export(
    make_captioner: MakeCaptioner, caption_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_captioner(dropout=0.3).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    export_bundle(
        Checkpoint(model, caption_tokenizer), tmp_path / "b", to=["onnx", "torchscript"], steps=4
    )
    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_an_encode_file_out_of_tolerance_is_not_packed(
    captioner_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = OnnxExporter._write

    def write_another(self: OnnxExporter, model: Captioner, path: Path, **options: Any) -> object:
        model.conditioning.to_keys.bias[2] += 0.05  # type: ignore[union-attr, index, operator]
        return write(self, model, path, **options)

    monkeypatch.setattr(OnnxExporter, "_write", write_another)
    with pytest.raises(
        ContractError,
        match=r"onnx float32 is \d.\de-\d+ from the reference in feature_keys .*, tolerance",
    ):
        export_bundle(captioner_folder, tmp_path / "b", to=["onnx"], steps=4)
    assert list(tmp_path.iterdir()) == []


def test_a_manifest_is_json_that_names_the_encode_graph(captioner_bundle_folder: Path) -> None:
    raw = json.loads((captioner_bundle_folder / "manifest.json").read_text(encoding="utf-8"))
    assert [graph["name"] for graph in raw["contract"]["graphs"]] == ["encode", "step"]
    assert raw["contract"]["initial_state"] == {"h": "encode", "c": "encode"}
    assert raw["provenance"]["model"]["conditioning"] == "soft-attention"


@pytest.mark.parametrize("place", ["running_var", "embedding.weight"])
def test_a_weight_or_buffer_that_is_not_finite_is_refused_by_name(
    make_captioner: MakeCaptioner, caption_tokenizer: Tokenizer, tmp_path: Path, place: str
) -> None:
    model = make_captioner()
    name = next(name for name in named_tensors(model) if name.endswith(place))
    with torch.no_grad():
        named_tensors(model)[name].view(-1)[3] = np.inf
    with pytest.raises(
        CheckpointError, match=rf"not finite: {name} \(1 of \d+ values, the first inf\)"
    ):
        export_bundle(Checkpoint(model, caption_tokenizer), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_had_is_refused_before_anything_is_written(
    captioner_folder: Path, tmp_path: Path
) -> None:
    loaded = dataclasses.replace(checkpoint.load(captioner_folder), evaluation={})
    with pytest.raises(UsageError, match="cannot export float32, coreml-mlstate as asked"):
        export_bundle(loaded, tmp_path / "b", to=["coreml-mlstate"], precision=["float32"])
    assert list(tmp_path.iterdir()) == []
