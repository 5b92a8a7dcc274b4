"""What is verified: each artifact with the reference of its own graph, its other half, and the
sample to measure on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from edgernn.bundle import Bundle
from edgernn.bundle.records import LossRecord
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import ContractError, UsageError
from edgernn.formats import by_name
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.models.eager import EagerSession
from edgernn.parity.subject import Subject, subjects

SAMPLE = "evaluation/held_out.safetensors"


@pytest.fixture
def unsigned(captioner_bundle_folder: Path, tmp_path: Path) -> Bundle:
    """A copy of the captioner's bundle, opened without looking at its digests."""
    return Bundle.open(
        Path(shutil.copytree(captioner_bundle_folder, tmp_path / "bundle")), verify_digests=False
    )


def of(bundle: Bundle, path: str) -> Subject:
    return next(
        subject for subject in subjects(bundle, steps=4)[0] if subject.artifact.path == path
    )


def test_each_graph_has_its_own_judge(captioner_bundle: Bundle) -> None:
    found, words = subjects(captioner_bundle, to="onnx", steps=4)
    assert words == "eager torch from the bundle"
    assert [subject.artifact.graph for subject in found] == ["encode", "step"]
    for subject in found:
        assert isinstance(subject.judge, EagerSession)
        assert subject.judge.spec.name == subject.session.spec.name == subject.artifact.graph
        assert subject.reference is found[0].reference


def test_without_a_reference_nothing_is_judged_but_the_golden_run(captioner_bundle: Bundle) -> None:
    manifest = captioner_bundle.manifest.model_copy(update={"reference": None})
    released = Bundle(captioner_bundle.source, captioner_bundle.folder, manifest)
    found, words = subjects(released, to="onnx", steps=4)
    assert words == "the recorded golden run alone (the bundle carries no reference)"
    assert all(subject.judge is None and subject.reference is None for subject in found)


def test_a_step_file_is_measured_with_its_encode_file_and_an_encode_file_with_the_reference(
    captioner_bundle: Bundle,
) -> None:
    step, encode = of(captioner_bundle, "onnx/step.onnx"), of(captioner_bundle, "onnx/encode.onnx")
    assert type(step.model.encode).runtime == "onnxruntime"
    assert step.model.step is step.session
    assert encode.model.encode is encode.session
    assert encode.model.step is encode.reference.step
    kept = of(captioner_bundle, "coreml/step_mlstate.mlpackage")
    assert type(kept.model.encode).runtime == "the MIL interpreter, not Core ML itself"


def test_a_reference_of_another_contract_is_refused(
    captioner_bundle: Bundle,
    make_captioner: Callable[..., Captioner],
    caption_tokenizer: Tokenizer,
    tmp_path: Path,
) -> None:
    save(
        Checkpoint(make_captioner(conditioning="hard-attention"), caption_tokenizer),
        tmp_path / "same contract",
    )
    found, words = subjects(captioner_bundle, reference=tmp_path / "same contract", steps=4)
    assert words == f"eager torch from {tmp_path / 'same contract'}"
    assert isinstance(found[0].judge, EagerSession)
    save(
        Checkpoint(make_captioner(conditioning="every-step"), caption_tokenizer),
        tmp_path / "another",
    )
    with pytest.raises(UsageError, match="has another contract than"):
        subjects(captioner_bundle, reference=tmp_path / "another", steps=4)


def test_a_language_models_reference_is_not_a_captioners(
    captioner_bundle: Bundle, checkpoint_folder: Path
) -> None:
    with pytest.raises(
        UsageError, match=r"has another contract than .*; give the checkpoint it was exported from"
    ):
        subjects(captioner_bundle, reference=checkpoint_folder)


def test_the_sample_is_what_the_family_measures_on(
    captioner_bundle: Bundle, bundle: Bundle, pictures: np.ndarray
) -> None:
    sample = of(captioner_bundle, "onnx/step.onnx").sample
    assert sample is not None
    assert sample.keys() == {"image", "captions"}
    assert np.array_equal(sample["image"], pictures)
    text = of(bundle, "onnx/step.onnx").sample
    assert text is not None
    assert text.keys() == {"tokens"}
    manifest = captioner_bundle.manifest.model_copy(update={"evaluation": None})
    without = Bundle(captioner_bundle.source, captioner_bundle.folder, manifest)
    assert of(without, "onnx/step.onnx").sample is None


CAPTIONS = np.zeros((2, 1, 3), np.int64)
IMAGE = np.zeros((2, 32, 32, 3), np.uint8)
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "floats": (
        {"image": IMAGE.astype(np.float32), "captions": CAPTIONS},
        r"image float32 \[2, 32, 32, 3\]",
    ),
    "one caption each": ({"image": IMAGE, "captions": CAPTIONS[:, 0]}, r"captions int64 \[2, 3\]"),
    "no captions": ({"image": IMAGE}, r"image uint8 \[2, 32, 32, 3\], expected"),
    "more captions than pictures": (
        {"image": IMAGE[:1], "captions": CAPTIONS},
        r"captions int64 \[2, 1, 3\], image uint8 \[1,",
    ),
    "no reference": ({"image": IMAGE, "captions": CAPTIONS[:, :0]}, r"captions int64 \[2, 0, 3\]"),
    "tokens": ({"tokens": CAPTIONS[0, 0]}, r"tokens int64 \[3\]"),
    "nothing": ({}, "has nothing"),
}


@pytest.mark.parametrize(("tensors", "says"), OTHERS.values(), ids=OTHERS)
def test_a_sample_of_another_layout_is_refused(
    unsigned: Bundle, tensors: dict[str, np.ndarray], says: str
) -> None:
    safetensors.numpy.save_file(
        {name: np.ascontiguousarray(array) for name, array in tensors.items()},
        unsigned.folder / SAMPLE,
    )
    expected = (
        r"expected image uint8 \[N, S, S, 3\] and captions int64 \[N, K, T\]; export the bundle "
        r"again"
    )
    with pytest.raises(ContractError, match=says) as caught:
        _ = of(unsigned, "onnx/step.onnx").sample
    assert caught.match(expected)


def test_a_sample_without_tokens_is_no_language_models(bundle_folder: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(
        Path(shutil.copytree(bundle_folder, tmp_path / "bundle")), verify_digests=False
    )
    safetensors.numpy.save_file({"ids": np.zeros(3, np.int64)}, bundle.folder / SAMPLE)
    with pytest.raises(
        ContractError,
        match=r"held_out.safetensors has ids int64 \[3\], expected tokens int64 \[N\]; export",
    ):
        _ = of(bundle, "onnx/step.onnx").sample


def test_a_damaged_sample_is_refused(unsigned: Bundle) -> None:
    (unsigned.folder / SAMPLE).write_bytes(b"scribble")
    with pytest.raises(
        ContractError,
        match=r"held_out.safetensors is no held-out sample \(.*\); export the bundle again",
    ):
        _ = of(unsigned, "onnx/step.onnx").sample


def test_what_cannot_be_verified_is_refused(captioner_bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="steps is 0, expected 1 or more"):
        subjects(captioner_bundle, steps=0)
    few = captioner_bundle.manifest.model_copy(
        update={"artifacts": captioner_bundle.manifest.artifacts[:2]}
    )
    with pytest.raises(UsageError, match="has no artifact in torchscript; it has: onnx"):
        subjects(Bundle(captioner_bundle.source, captioner_bundle.folder, few), to="torchscript")
    subject = replace(of(captioner_bundle, "onnx/step.onnx"), reference=None)
    assert subject.judge is None


LOSS = LossRecord(
    tokens=90, reference_perplexity=4.0, perplexity=4.1, mean_kl=0.04, top1=0.9, allowed=0.02
)


@pytest.mark.parametrize(
    ("allowed", "perplexity", "mean_kl"),
    [
        (0.001, 0.001, 5e-2),
        (0.02, 0.02, 5e-2),
        (0.03, 0.03, 0.08),
        (1.0, 0.045, 0.08),
        (None, 0.045, 0.08),
    ],
    ids=[
        "less than promised",
        "as promised",
        "more",
        "far more than it says it lost",
        "a score alone",
    ],
)
def test_what_was_allowed_when_it_was_packed_is_what_it_is_held_to(
    captioner_bundle: Bundle, allowed: float | None, perplexity: float, mean_kl: float
) -> None:
    subject = of(captioner_bundle, "onnx/step.onnx")
    promised = by_name("onnx").promise("int4")
    artifact = subject.artifact.model_copy(update={"precision": "int4"})
    assert replace(subject, artifact=artifact).limit == promised
    artifact = artifact.model_copy(update={"loss": LOSS.model_copy(update={"allowed": allowed})})
    limit = replace(subject, artifact=artifact).limit
    assert limit == replace(promised, perplexity=pytest.approx(perplexity), mean_kl=mean_kl)  # type: ignore[arg-type]
    assert limit.forced
    exact = artifact.model_copy(update={"precision": "float32"})
    assert replace(subject, artifact=exact).limit == by_name("onnx").promise(
        "float32"
    )  # float32 loses nothing


@pytest.mark.parametrize(
    ("said", "held_to"), [(None, 1e-4), (1e-4, 1e-4), (1e-6, 1e-6), (0.5, 1e-4)]
)
def test_the_stricter_of_the_tolerances_of_manifest_and_row_is_what_it_is_held_to(
    bundle: Bundle, said: float | None, held_to: float
) -> None:
    subject = of(bundle, "onnx/step.onnx")
    assert subject.artifact.tolerance == subject.promised.rollout
    artifact = subject.artifact.model_copy(update={"tolerance": said})
    assert replace(subject, artifact=artifact).limit.rollout == held_to


def test_what_was_allowed_beyond_what_is_promised_is_told(captioner_bundle: Bundle) -> None:
    subject = of(captioner_bundle, "onnx/step.onnx")
    for allowed, told in (
        (0.02, ""),
        (0.1, "; +10.000% of perplexity was allowed at export, +2.000% is what int4 promises"),
    ):
        loss = LOSS.model_copy(update={"allowed": allowed})
        artifact = subject.artifact.model_copy(update={"precision": "int4", "loss": loss})
        assert replace(subject, artifact=artifact).allowance == told
