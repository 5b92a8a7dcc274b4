"""Bundles of edgernn's first version go on opening, verifying and writing.

``fixtures/first_version.edgernn`` was exported by commit 02c4058, before losses were stored in nats
and golden runs were bounded: a seeded LSTM of 34 characters, E = 4, H = 6, L = 1, with a learned
first state, ``to="onnx"``, ``precision=["float32", "int8"]``, ``steps=16``, and the text of
``conftest.TEXT`` four times as its held-out sample.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edgernn.bundle import Bundle
from edgernn.parity.verify import verify_bundle
from edgernn.writing.text import write_text

FIRST = Path(__file__).parent / "fixtures" / "first_version.edgernn"


def test_it_opens_and_its_loss_is_read() -> None:
    with Bundle.open(FIRST) as bundle:
        loss = bundle.artifact("onnx/step-int8.onnx").loss
    assert loss is not None
    assert (loss.reference_nats, loss.nats) == (None, None)
    assert loss.increase == pytest.approx(loss.perplexity / loss.reference_perplexity - 1)
    assert loss.is_within(loss.allowed or 0)


def test_it_verifies_in_every_check() -> None:
    pytest.importorskip("torch")  # the reference
    report = verify_bundle(FIRST, steps=16)
    statuses = {f"{a.path} {c.name}": c.status for a in report.artifacts for c in a.checks}
    assert report.passed, statuses
    assert {name.split()[0] for name in statuses} == {"onnx/step.onnx", "onnx/step-int8.onnx"}
    assert all(
        statuses[f"onnx/step.onnx {name}"] == "passed"
        for name in ("contract", "rollout", "text", "greedy", "golden")
    )


def test_it_writes() -> None:
    assert len(write_text(FIRST, "the ", length=12)["tokens"]) == 12
