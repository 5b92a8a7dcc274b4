"""Any network: its samples, its calls and its loss follow from the contract alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgernn.contract import Contract, FileContract, GraphSpec, TensorSpec
from edgernn.families.language import language_contract
from edgernn.families.module import ModuleFamily, OutputLoss
from edgernn.families.table import DEFAULT, TABLE, family_of
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity.report.data import ArtifactReport, Check, VerifyReport
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.model import Model

FAMILY = ModuleFamily()
TEXT = language_contract(("h",), layers=1, hidden=2, vocabulary=7)


def frames(*, time: bool, step_frames: int = 1) -> Contract:
    """A network of frames of width 3, with or without a time axis."""
    axes = ("batch", "time", "width") if time else ("batch", "width")
    frame = TensorSpec(name="frame", role="input", dtype="float32", axes=axes)
    state = TensorSpec(name="h", role="state", dtype="float32", axes=("batch", "width"))
    out = TensorSpec(name="out", role="output", dtype="float32", axes=axes)
    after = state.model_copy(update={"name": "h_next"})
    step = GraphSpec(name="step", inputs=(frame, state), outputs=(out, after))
    return Contract(graphs=(step,), sizes={"width": 3}, step_frames=step_frames)


def test_every_row_of_the_table_is_a_family_of_its_word() -> None:
    for word in TABLE:
        assert family_of(word).word == word
    assert family_of("nobody-knows") is family_of("nobody-knows")
    assert family_of("nobody-knows").word == DEFAULT


@pytest.mark.parametrize("contract", [frames(time=True, step_frames=4), frames(time=False), TEXT])
def test_what_is_drawn_is_a_sample_of_the_contract(contract: Contract) -> None:
    drawn, again = (FAMILY.drawn(contract, seed=3) for _ in range(2))
    assert FAMILY.sample_problem(drawn, contract) == ""
    assert FAMILY.count(drawn, contract) == 256
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)
    feed = FAMILY.feed(contract, None, seed=3)
    (array,) = feed.step.values()
    assert len(array) == 256


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.zeros((1, 8, 2), np.float32), "expected float32 [1, time, 3]"),
        (np.zeros((1, 8, 3)), "frame float64 [1, 8, 3]"),
        (np.zeros((2, 8, 3), np.float32), "expected float32 [1, time, 3]"),
        (np.zeros((1, 7, 3), np.float32), "expected the same multiple of 4"),
        (np.full((1, 8, 3), np.nan, np.float32), "a value that is not finite"),
    ],
)
def test_what_is_no_sample_is_told(array: np.ndarray, problem: str) -> None:
    contract = frames(time=True, step_frames=4)
    assert problem in FAMILY.sample_problem({"frame": array}, contract)
    assert "expected the inputs ['frame']" in FAMILY.sample_problem({}, contract)


def test_a_loss_is_that_of_the_outputs_and_of_scores(
    make_model: Callable[..., LanguageModel],
) -> None:
    one = Model(EagerSession(make_model()))
    worse = make_model()
    worse.head.weight.data *= -1
    other = Model(EagerSession(worse))
    sample = FAMILY.drawn(one.contract, seed=3)
    same, found = FAMILY.loss(one, one, sample), FAMILY.loss(one, other, sample)
    assert same == OutputLoss(256, 0.0, "logits", 0.0, 1.0)
    assert found.error > 0.1
    assert found.mean_kl is not None
    assert found.mean_kl > 0
    assert found.top1 is not None
    assert found.top1 < 1


def test_calibration_calls_chain_the_state() -> None:
    model = Model(FakeSession(FileContract(contract=TEXT)))
    sample = FAMILY.drawn(TEXT, seed=3)
    part = FAMILY.spared(sample, TEXT)
    assert part is not None
    assert np.array_equal(part["tokens"], sample["tokens"][:, -128:])
    calls = list(FAMILY.calls(model, part))
    assert len(calls) == 128
    _, after = model.step({"tokens": calls[0]["tokens"]}, {"h": calls[0]["h"]})
    assert np.array_equal(calls[1]["h"], after["h"])
    short = {"tokens": sample["tokens"][:, :63]}
    assert FAMILY.spared(short, TEXT) is None


def test_a_check_that_does_not_apply_leaves_a_report_complete() -> None:
    passed = Check(name="rollout", status="passed", detail="")
    greedy = Check(name="greedy", status="not run", detail="not applicable", applies=False)
    whole = {"path": "a", "format": "onnx", "precision": "float32", "bytes": 1}
    report = VerifyReport(
        bundle="b",
        reference="r",
        steps=1,
        artifacts=(ArtifactReport(**whole, checks=(passed, greedy)),),
    )
    assert report.passed
    assert report.complete
