"""What the outputs of a network that writes no text lose in reduced precision: recorded when it is
packed, told by the commands, and judged by verify.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from amplifier import HIDDEN, WIDTH, contract, make_amplifier

from edgernn.bundle import Bundle
from edgernn.bundle.records import OutputLossRecord
from edgernn.cli.card_text import model_card
from edgernn.errors import ContractError
from edgernn.export import export_step
from edgernn.export.rounding.loss import measure_output_loss
from edgernn.families.module import ModuleFamily, OutputLoss
from edgernn.formats import by_name
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.eager import EagerSession
from edgernn.models.module import ModuleModel
from edgernn.parity.output_loss import outputs_problem
from edgernn.parity.report.data import Check
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.base import Session
from edgernn.sessions.model import Model

FAMILY = ModuleFamily()
EXACT, INT8 = (by_name("onnx").promise(name) for name in ("float32", "int8"))
SAMPLE = {"frame": np.random.default_rng(1).normal(size=(1, 48, WIDTH)).astype(np.float32)}
Feeds = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return export_step(
        make_amplifier(),
        contract(h="stored"),
        tmp_path_factory.mktemp("outputs") / "amplifier",
        first_state={"h": torch.linspace(-0.4, 0.4, HIDDEN).unsqueeze(0)},
        sample=SAMPLE,
        precision=["float32", "int8"],
        steps=16,
    )


def text_check(bundle: Bundle, path: str) -> Check:
    (report,) = (a for a in verify_bundle(bundle.folder, steps=16).artifacts if a.path == path)
    return next(check for check in report.checks if check.name == "text")


def told(bundle: Bundle, place: Path, **fields: object) -> Bundle:
    """Return the bundle with another record of what int8 loses."""
    manifest = json.loads((bundle.folder / "manifest.json").read_text())
    for artifact in manifest["artifacts"]:
        if "output_loss" in artifact:
            artifact["output_loss"] |= fields
    for path in bundle.folder.rglob("*"):
        if path.is_file():
            copy = place / path.relative_to(bundle.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (place / "manifest.json").write_text(json.dumps(manifest))
    return Bundle.open(place)


def test_the_loss_is_recorded_where_a_precision_is_reduced(bundle: Bundle) -> None:
    losses = {a.precision: a.output_loss for a in bundle.manifest.artifacts}
    assert losses["float32"] is None
    assert losses["int8"] is not None
    assert (losses["int8"].steps, losses["int8"].output) == (48, "sample")
    assert 1e-5 < losses["int8"].error < INT8.rollout
    card = model_card(bundle.manifest, "amplifier")
    assert f"sample {losses['int8'].error:.1e} off (relative root mean square); 48 steps" in card
    assert "what outputs lose on recorded inputs" in card


def test_verify_measures_the_same(bundle: Bundle) -> None:
    check = text_check(bundle, "onnx/step-int8.onnx")
    record = bundle.artifact("onnx/step-int8.onnx").output_loss
    assert record is not None
    assert check.status == "passed", check.detail
    assert check.measured["error"] == pytest.approx(record.error, rel=0.1)
    assert text_check(bundle, "onnx/step.onnx").status == "passed"


@pytest.mark.parametrize("fields", [{"error": 1e-6}, {"error": 0.9}, {"steps": 47}], ids=str)
def test_a_loss_that_is_not_so_is_named(
    bundle: Bundle, tmp_path: Path, fields: dict[str, float]
) -> None:
    check = text_check(told(bundle, tmp_path, **fields), "onnx/step-int8.onnx")
    assert check.status == "failed"
    assert "the manifest says that sample is" in check.detail


class Off(EagerSession):
    """The outputs a little, or far, off; the state right."""

    by = 0.0

    def _run(self, feeds: Feeds) -> Feeds:
        made = super()._run(feeds)
        return {**made, "sample": made["sample"] + np.float32(self.by)}


def models(by: float) -> tuple[Model, Model]:
    model = ModuleModel(make_amplifier(), contract()).eval()
    off = Off(model)
    off.by = by
    return Model(EagerSession(model)), Model(off)


def judged(by: float, *, exact: bool = True) -> str:
    reference, candidate = models(by)
    loss = FAMILY.loss(reference, candidate, SAMPLE)
    limit = EXACT if exact else INT8
    found = outputs_problem(loss, reference, candidate, SAMPLE, family=FAMILY, limit=limit)
    return found[0]


def test_outputs_further_off_than_is_promised_are_a_problem() -> None:
    assert judged(0.0) == judged(1e-6) == judged(1e-3, exact=False) == ""
    assert "sample is" in judged(0.01)
    assert "off, 0.0001 is promised" in judged(0.01)
    assert "off, 0.15 is promised" in judged(3.0, exact=False)


def test_rounded_weights_are_held_to_single_steps() -> None:
    class Drifting(EagerSession):
        """Each step a little off in the state, which a chained run adds up."""

        def _run(self, feeds: Feeds) -> Feeds:
            made = super()._run(feeds)
            return {**made, "h_next": made["h_next"] + np.float32(0.5)}

    model = ModuleModel(make_amplifier(), contract()).eval()
    reference, candidate = Model(EagerSession(model)), Model(Drifting(model))
    loss = FAMILY.loss(reference, candidate, SAMPLE)
    assert loss.error > INT8.rollout
    found = outputs_problem(loss, reference, candidate, SAMPLE, family=FAMILY, limit=INT8)
    assert found == (
        "",
        "; sample of a step 0.0e+00 off, judged step by step from the reference's state",
    )
    problem, _ = outputs_problem(loss, reference, candidate, SAMPLE, family=FAMILY, limit=EXACT)
    assert "is promised" in problem  # a tame reference explains nothing


def test_scores_are_held_to_their_divergence_and_agreement() -> None:
    reference, candidate = models(0.0)
    loss = replace(FAMILY.loss(reference, candidate, SAMPLE), mean_kl=1.0, top1=0.5)
    found = outputs_problem(loss, reference, candidate, SAMPLE, family=FAMILY, limit=INT8)
    assert "the scores diverge by 1.0e+00 nats a step" in found[0]
    kept = replace(loss, mean_kl=1e-4, top1=0.9)
    assert outputs_problem(kept, reference, candidate, SAMPLE, family=FAMILY, limit=INT8)[0] == ""


def test_an_export_that_loses_too_much_is_refused() -> None:
    reference, candidate = models(3.0)
    loaded = Checkpoint(ModuleModel(make_amplifier(), contract()), None, {}, SAMPLE)

    def measured(candidate: Session, loaded: Checkpoint = loaded) -> OutputLossRecord | None:
        return measure_output_loss(loaded, reference, candidate, name="onnx int8", limit=INT8)

    with pytest.raises(ContractError, match="onnx int8 on the recorded inputs: sample is"):
        measured(candidate.step)
    found = measured(models(1e-3)[1].step)
    assert found is not None
    assert 0 < found.error < INT8.rollout
    assert measured(candidate.step, replace(loaded, evaluation={})) is None


def test_an_output_that_is_as_good_as_zero_is_measured_by_a_thousandth() -> None:
    model = make_amplifier()
    with torch.no_grad():
        model.head.weight.fill_(0)
        model.head.bias.fill_(0)
    silent = ModuleModel(model, contract()).eval()
    off = Off(silent)
    off.by = 1e-6
    loss = FAMILY.loss(Model(EagerSession(silent)), Model(off), SAMPLE)
    assert loss == OutputLoss(48, pytest.approx(1e-3), "sample")
    assert OutputLossRecord(**loss.measured()).mean_kl is None
