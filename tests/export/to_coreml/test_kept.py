"""States that Core ML keeps: written once a step with their own next value, whatever the step
reads them through; what an app must know of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn.bundle import Bundle
from edgernn.contract import Decoding, FileContract
from edgernn.contract.build import build_contract
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import ContractError
from edgernn.export import export_step
from edgernn.export.pack import export_bundle
from edgernn.export.to_coreml import exporter as exporters
from edgernn.export.to_coreml.exporter import CoreMLStateExporter
from edgernn.export.to_coreml.kept import kept_notes
from edgernn.models.captioner import Captioner
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageModel
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.mil.session import MilSession, read_spec, saved_operations
from edgernn.sessions.opening import open_artifact

MakeModel = Callable[..., LanguageModel]
# each gives back the very tensor that it is given: torch's tracer then loses an assignment to it
SAME = {
    "float": lambda h: h.float(),
    "contiguous": lambda h: h.contiguous(),
    "type_as": lambda h: h.type_as(h),
    "dropout": nn.Dropout(0.1),
}


class Reading(nn.Module):
    """Two states of one shape, read through an operator."""

    def __init__(self, read: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.read, self.cell = read, nn.LSTMCell(3, 5)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h, c = self.cell(x, (self.read(h), self.read(c)))  # [B, 5] each
        return h * 2, h, c


def contract_of_reading() -> Any:
    return build_contract(
        inputs={"x": "float32[batch, i=3]"},
        states={"h": "float32[batch, hidden=5]", "c": "float32[batch, hidden]"},
        outputs={"y": "float32[batch, hidden]"},
    )


def kinds(package: Path) -> list[str]:
    return [operation.type for operation in saved_operations(read_spec(package)[1].mlProgram)]


@pytest.mark.parametrize("name", SAME)
def test_states_read_through_what_changes_nothing_are_written(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    export_step(
        Reading(SAME[name]).eval(),
        contract_of_reading(),
        tmp_path / "b",
        to="coreml-mlstate",
        steps=4,
    )
    found = kinds(tmp_path / "b" / "coreml" / "step_mlstate.mlpackage")
    assert found.count("write_state") == found.count("read_state") == 2
    assert verify_bundle(tmp_path / "b", steps=8).passed


class _Losing(exporters._BufferedStep):
    """Reads the buffers themselves, through an operator that changes nothing."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...] | Tensor:
        return _overwrite(self, inputs, [getattr(self, name).float() for name in self.names])


class _Crossing(exporters._BufferedStep):
    """Writes each state's next value into the other."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...] | Tensor:
        read = [getattr(self, name).clone() for name in self.names]
        return _overwrite(self, inputs, read, crossed=True)


def _overwrite(
    step: Any, inputs: Sequence[Tensor], read: Sequence[Tensor], *, crossed: bool = False
) -> tuple[Tensor, ...] | Tensor:
    results = step.step(*inputs, *read)
    after = results[-len(step.names) :]
    for name, tensor in zip(step.names, reversed(after) if crossed else after, strict=True):
        getattr(step, name)[:] = tensor
    made = results[: -len(step.names)]
    return made if len(made) > 1 else made[0]


@pytest.mark.parametrize(
    ("step", "precision", "said"),
    [
        (_Losing, "float16", "the state h is written 0 times, expected once"),
        (_Crossing, "float16", "the state h is given the next value of c"),
        (_Crossing, "palettized4", "the state h is given the next value of c"),
    ],
)
def test_a_package_that_loses_a_state_is_refused(
    make_model: MakeModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: type[nn.Module],
    precision: str,
    said: str,
) -> None:
    monkeypatch.setattr(exporters, "_BufferedStep", step)
    with pytest.raises(ContractError) as caught:
        CoreMLStateExporter().export(
            make_model(), tmp_path / "step.mlpackage", precision=precision, decoding=Decoding()
        )
    assert str(caught.value) == (
        f"coremltools lost a state in step.mlpackage: {said}; export to coreml, where the state "
        "goes in and out"
    )


@pytest.mark.parametrize("cell", ["gru", "gru_before", "lstm_normalised"])
def test_no_step_is_a_loop_or_a_layer(make_model: MakeModel, tmp_path: Path, cell: str) -> None:
    path = tmp_path / "step.mlpackage"
    CoreMLStateExporter().export(
        make_model(cell=cell), path, precision="float16", decoding=Decoding()
    )
    assert not {"while_loop", "cond", "lstm", "gru", "rnn"} & set(kinds(path))


def test_first_values_that_are_stored_are_passed_in(
    make_model: MakeModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model, heard = make_model(learned_initial_state=True), list[str]()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.startswith("first_state"):
                value.uniform_(0.5, 1.0)
    export_bundle(
        Checkpoint(model, tokenizer),
        tmp_path / "b",
        to="coreml-mlstate",
        steps=8,
        tell=heard.append,
    )
    assert any("h, c (stored): an app writes the first values" in line for line in heard)
    assert any("keeps h [2, 1, 8], c [2, 1, 8], whose last size" in line for line in heard)
    report = verify_bundle(tmp_path / "b", steps=8)
    (kept,) = [entry for entry in report.artifacts if "mlstate" in entry.path]
    status = {check.name: check.status for check in kept.checks}
    assert {status[name] for name in ("golden", "rollout", "structure", "contract")} == {"passed"}
    bundle = Bundle.open(tmp_path / "b")
    session = open_artifact(bundle, bundle.artifact(kept.path), MilSession)
    first = session.initial_state()
    assert all((value >= 0.5).all() for value in first.values())
    tokens = {"tokens": np.array([[3]], np.int64)}
    begun, zeros = session.step(tokens, first), {n: np.zeros_like(a) for n, a in first.items()}
    assert np.abs(begun[0]["logits"] - session.step(tokens, zeros)[0]["logits"]).max() > 0.01


def test_what_an_app_must_know(
    make_model: MakeModel, make_captioner: Callable[..., Captioner]
) -> None:
    def notes(model: Any) -> tuple[str, ...]:
        contract = model.config.contract()
        narrowing = CoreMLStateExporter().narrowing(contract.step, "float16")
        return kept_notes(FileContract(contract=contract, narrowing=narrowing))

    assert notes(make_model(hidden=32)) == ()
    (narrow,) = notes(make_model(hidden=8))
    assert "no multiple of 32: the Neural Engine fails on such kept states" in narrow
    assert any("(encode)" in note for note in notes(make_captioner()))
