"""What held-out text may lose, at the edges of what is promised; and samples that are too small to say anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.parity.checks import check_text, run_check
from edgernn.parity.subject import Subject, subjects
from edgernn.parity.text_loss import TextLoss

PERFECT = TextLoss(tokens=80, reference_perplexity=8.0, perplexity=8.0, mean_kl=0.0, worst_kl=0.0, top1=1.0, top5=1.0)


@pytest.fixture
def half(captioner_bundle: Bundle) -> Subject:
    """The captioner's step in float16, which promises 99 % of the most probable words."""
    found, _ = subjects(captioner_bundle, to="coreml", steps=4)
    return next(subject for subject in found if subject.artifact.path == "coreml/step.mlpackage")


@pytest.mark.parametrize(
    ("loss", "status"),
    [
        (PERFECT, "passed"),
        (replace(PERFECT, top1=1 - 1 / 80), "passed"),  # one word may turn in any sample, however small
        (replace(PERFECT, top1=1 - 2 / 80), "failed"),
        (replace(PERFECT, tokens=1000, top1=0.991), "passed"),
        (replace(PERFECT, tokens=1000, top1=0.989), "failed"),
        (replace(PERFECT, perplexity=8.015), "passed"),
        (replace(PERFECT, perplexity=8.017), "failed"),
        (replace(PERFECT, perplexity=4.0), "passed"),
        (replace(PERFECT, mean_kl=0.9e-3), "passed"),
        (replace(PERFECT, mean_kl=1.1e-3), "failed"),
    ],
    ids=str,
)
def test_what_captions_may_lose(half: Subject, monkeypatch: pytest.MonkeyPatch, loss: TextLoss, status: str) -> None:
    monkeypatch.setattr("edgernn.parity.checks.measure_captions", lambda *_: loss)
    check = check_text(half)
    assert check.status == status
    assert check.measured["top1"] == loss.top1
    assert check.detail.startswith(f"{loss.tokens} tokens: perplexity 8.0000 to")


def test_a_sample_of_few_words_is_not_measured(half: Subject) -> None:
    assert half.sample is not None
    captions = half.sample["captions"].copy()
    captions[3:, 0] = 0
    words = int((captions[:, 0] != 0).sum())
    assert words < 32 < captions.size
    half.__dict__["sample"] = {**half.sample, "captions": captions}
    check = check_text(half)
    assert (check.status, check.detail) == ("not run", "the bundle carries no held-out text to measure on")
    assert check_text(replace(half, judges={})).detail == "the bundle carries no reference to measure on"


def test_ids_outside_the_vocabulary_fail_the_check_and_break_nothing(half: Subject) -> None:
    assert half.sample is not None
    half.__dict__["sample"] = {**half.sample, "captions": half.sample["captions"] + 100}
    check = run_check(half, "text")
    assert (check.status, check.detail) == ("failed", "tokens has the value 101, expected 0 to 35")


def test_a_caption_that_is_not_predicted_is_not_counted(half: Subject) -> None:
    assert half.sample is not None
    own = check_text(half)
    padded = np.pad(half.sample["captions"], ((0, 0), (0, 1), (0, 3)))
    half.__dict__["sample"] = {**half.sample, "captions": padded}
    assert check_text(half).measured == own.measured
