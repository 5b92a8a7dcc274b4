"""What a manifest says of itself is held against what is there; an honest one is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgernn.bundle import Bundle
from edgernn.bundle.manifest import Manifest
from edgernn.bundle.records import LossRecord, ParityRecord
from edgernn.families.loss import TextLoss
from edgernn.formats import by_name
from edgernn.parity.claims import claim_problems, loss_problem, step_problem
from edgernn.parity.subject import Subject, subjects

FOUND = TextLoss(
    tokens=100,
    reference_nats=2.0,
    nats=2.01,
    mean_kl=1e-3,
    worst_kl=0.1,
    top1=0.99,
    top5=0.99,
    reference_accuracy=0.5,
    accuracy=0.5,
)


def subject_of(bundle: Bundle, path: str = "onnx/step.onnx", **fields: Any) -> Subject:
    """Return the subject of one artifact, of which, or of whose provenance, the manifest says
    something else.
    """
    manifest: Any = bundle.manifest.model_dump(mode="json", exclude_none=True)
    own = {name: fields.pop(name) for name in ("model", "parameters") if name in fields}
    manifest["provenance"]["model"] |= own.pop("model", {})
    manifest["provenance"] |= own
    for artifact in manifest["artifacts"]:
        artifact.update(fields if artifact["path"] == path else {})
    changed = Bundle(bundle.source, bundle.folder, Manifest.model_validate(manifest))
    return next(
        subject for subject in subjects(changed, steps=4)[0] if subject.artifact.path == path
    )


def test_what_honest_bundles_say_is_right(bundle: Bundle, captioner_bundle: Bundle) -> None:
    for one in (bundle, captioner_bundle):
        for artifact in one.manifest.artifacts:
            assert claim_problems(subject_of(one, artifact.path)) == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (
            {"parity": {"steps": 9, "worst": 0.5, "tensor": "h_next[0]", "tolerance": 1e-4}},
            "a parity of 5.0e-01, and 0.0001",
        ),
        (
            {"parity": {"steps": 9, "worst": 0.0, "tensor": "h_next", "tolerance": 2.0}},
            "a tolerance of 2, and 0.0001",
        ),
        (
            {"parity": {"steps": 9, "worst": 0.0, "tensor": "x", "tolerance": 1e-4}},
            "'x', which is no output",
        ),
        ({"tolerance": 0.01}, "allows a golden run to differ by 0.01, and 0.0001 is promised"),
        ({"tolerance": 1e-4, "forced": True}, "says that a golden run is forced, expected that"),
        ({"model": {"layers": 7}}, "the model has layers 7, the contract says 2"),
        ({"model": {"cell": "rnn"}}, "the model has cell 'rnn', the reference has 'lstm'"),
        ({"model": {"embedding": 99}}, "the model has embedding 99, the reference has 6"),
        ({"requires": {"no-such-package": "1.0"}}, "needs no-such-package, which is no runtime"),
        ({"parameters": 5}, "the manifest says 5 parameters, the reference has"),
    ],
)
def test_what_is_not_so_is_named(bundle: Bundle, fields: dict[str, Any], named: str) -> None:
    pytest.importorskip("torch")  # the reference
    assert named in "; ".join(claim_problems(subject_of(bundle, **fields)))


def test_a_cell_of_other_states_is_named_where_no_reference_is(
    bundle: Bundle, captioner_bundle: Bundle
) -> None:
    for one in (bundle, captioner_bundle):
        released = replace(subject_of(one, model={"cell": "gru"}), reference=None)
        named = "the manifest says that the cell is gru, the contract has the states h, c"
        assert claim_problems(released) == [named]
        known = subject_of(one, model={"cell": "of somebody else"})
        assert claim_problems(replace(known, reference=None)) == []


@pytest.mark.parametrize(
    ("changed", "right"),
    [
        ({}, True),
        ({"nats": 2.012, "mean_kl": 2e-3}, True),  # another processor
        ({"nats": 1.5}, False),
        ({"reference_nats": 3.0}, False),
        ({"mean_kl": 1e-5}, False),
        ({"mean_kl": 1.0}, False),
        ({"tokens": 7}, False),
        ({"reference_accuracy": 0.5, "accuracy": 0.51}, True),  # two scores nearly equal
        ({"accuracy": 0.9}, False),
        ({"reference_accuracy": 0.9}, False),
    ],
)
def test_a_loss_must_be_the_one_that_is_measured(
    bundle: Bundle, changed: dict[str, Any], right: bool
) -> None:
    told = {
        "tokens": 100,
        "reference_perplexity": 7.4,
        "perplexity": 7.5,
        "mean_kl": 1e-3,
        "top1": 0.99,
    }
    loss = LossRecord.model_validate(
        {**told, "reference_nats": 2.0, "nats": 2.01, **changed}
    ).model_dump()
    assert (loss_problem(subject_of(bundle, loss=loss), FOUND) == "") is right


def test_an_error_of_a_step_must_be_near_the_recorded_one() -> None:
    record = ParityRecord(steps=4, worst=0.05, tensor="logits", tolerance=0.4)
    assert step_problem(record, 0.15, by_name("onnx").promise("int4")) == ""
    assert "5.0e-02 off at worst, and it is 3.0e-01" in step_problem(
        record, 0.3, by_name("onnx").promise("int4")
    )
    assert (
        step_problem(record, 0.3, by_name("onnx").promise("float32")) == ""
    )  # rounding, judged by the tolerance alone
