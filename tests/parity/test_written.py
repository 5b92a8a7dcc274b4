"""Captions of held-out pictures, greedy and by beam search, against the reference's: which one
differs, and what that means.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import FileContract
from edgernn.models.captioner import Captioner
from edgernn.models.eager import EagerSession
from edgernn.parity.checks import check_greedy
from edgernn.parity.subject import Subject, subjects
from edgernn.sessions.model import Model


def subject_of(bundle: Bundle, path: str) -> Subject:
    return next(
        subject for subject in subjects(bundle, steps=4)[0] if subject.artifact.path == path
    )


def judged_by(bundle: Bundle, path: str, model: Captioner) -> Subject:
    """An artifact under another model's judgement."""
    contract = bundle.manifest.contract
    encode = EagerSession(model, FileContract(contract=contract, graph="encode"))
    return replace(subject_of(bundle, path), reference=Model(EagerSession(model), encode))


@pytest.mark.parametrize(
    "path", ["onnx/encode.onnx", "onnx/step.onnx", "torchscript/step.pt", "coreml/step.mlpackage"]
)
def test_the_captions_of_an_honest_file_are_identical(captioner_bundle: Bundle, path: str) -> None:
    check = check_greedy(subject_of(captioner_bundle, path))
    assert (check.name, check.status) == ("greedy", "passed")
    assert check.detail == "greedy captions of 6 held-out pictures identical, beam-3 captions of 6"
    assert check.measured == {"identical": 12, "captions": 12}


def test_another_caption_is_shown_beside_the_references(
    captioner_bundle: Bundle, make_captioner: Callable[..., Captioner]
) -> None:
    check = check_greedy(judged_by(captioner_bundle, "onnx/step.onnx", make_captioner(seed=4)))
    assert check.status == "failed"
    first = (
        r"^\d+ of 12 captions differ; the greedy caption of picture 0 is \[[\d, ]+\], the "
        r"reference writes \[[\d, ]*\]$"
    )
    assert re.search(first, check.detail), check.detail
    assert check.measured["identical"] < 6


def test_reduced_precision_is_told_and_judged_by_what_the_text_loses(
    captioner_bundle: Bundle, make_captioner: Callable[..., Captioner]
) -> None:
    check = check_greedy(
        judged_by(captioner_bundle, "coreml/step.mlpackage", make_captioner(seed=4))
    )
    assert check.status == "passed"
    assert check.detail.endswith("reduced precision is judged by what the text loses, see text")


def test_beam_search_sees_what_greedy_is_blind_to(
    captioner_bundle: Bundle, make_captioner: Callable[..., Captioner]
) -> None:
    """Sharper predictions have the same most probable words, but other most probable captions."""
    sharp = make_captioner()
    sharp.head.weight.data *= 3
    sharp.head.bias.data *= 3
    check = check_greedy(judged_by(captioner_bundle, "onnx/step.onnx", sharp))
    assert check.status == "failed"
    assert re.search(r"of 12 captions differ; the beam-3 caption of picture \d is", check.detail), (
        check.detail
    )


def test_without_pictures_nothing_is_compared(captioner_bundle: Bundle) -> None:
    subject = subject_of(captioner_bundle, "onnx/step.onnx")
    assert subject.sample is not None
    manifest = captioner_bundle.manifest.model_copy(update={"evaluation": None})
    without = Bundle(captioner_bundle.source, captioner_bundle.folder, manifest)
    none = replace(subject, bundle=without)
    empty = replace(subject)
    empty.__dict__["sample"] = {name: array[:0] for name, array in subject.sample.items()}
    for one in (none, empty):
        check = check_greedy(one)
        assert (check.status, check.detail) == (
            "not run",
            "the bundle carries no held-out pictures to caption",
        )


def test_a_captioner_is_asked_for_captions_and_a_language_model_for_text(
    captioner_bundle: Bundle, bundle: Bundle
) -> None:
    assert (
        "held-out pictures" in check_greedy(subject_of(captioner_bundle, "onnx/step.onnx")).detail
    )
    assert (
        "4 tokens identical after each of"
        in check_greedy(subject_of(bundle, "onnx/step.onnx")).detail
    )
    alone = replace(subject_of(captioner_bundle, "onnx/step.onnx"), reference=None)
    assert check_greedy(alone).status == "not run"


def test_the_references_captions_are_written_once(
    captioner_bundle: Bundle, make_captioner: Callable[..., Captioner], tmp_path: Path
) -> None:
    class Counting(EagerSession):
        calls = 0

        def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            self.calls += 1
            return super()._run(feeds)

    contract, model = captioner_bundle.manifest.contract, make_captioner()
    encode = Counting(model, FileContract(contract=contract, graph="encode"))
    judge = Model(Counting(model), encode)
    for path in ("onnx/step.onnx", "torchscript/step.pt"):
        check_greedy(replace(subject_of(captioner_bundle, path), reference=judge))
    once = encode.calls
    kept = subject_of(captioner_bundle, "coreml/step.mlpackage")
    check_greedy(replace(kept, reference=judge))
    assert encode.calls == once == 7  # six for beam search, and all at once for greedy
