"""Networks with operators that formats lack, or that nobody has: written in others, or refused by
their names.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

from edgernn.bundle import Bundle
from edgernn.contract import FileContract
from edgernn.errors import ContractError, UsageError
from edgernn.export.found import explain_hoisted
from edgernn.export.module_bundle import export_module
from edgernn.export.to_onnx import exporter
from edgernn.hoisting.explain import explain_text
from edgernn.hoisting.hoisted import hoist
from edgernn.models.family import RecurrentModel
from edgernn.parity.verify import verify_bundle
from tests.hoisting.drawn import drawn

WIDTH = 6


class Around(nn.Module):
    """A leaky sum, and any function of it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = 0.5 * h + x
        return self.function(h), h


def export(
    function: Callable[[Tensor], Tensor],
    folder: Path,
    to: list[str],
    heard: list[str] | None = None,
) -> None:
    export_module(
        Around(function),
        {"x": f"float32[batch, {WIDTH}]"},
        folder,
        state={"h": lambda rows: torch.zeros(rows, WIDTH)},
        to=to,
        precision="float32",
        steps=8,
        tell=[].append if heard is None else heard.append,
    )


LACKED = {
    "unfold": lambda h: h.unfold(1, 3, 1).sum(-1),
    "floor_divide": lambda h: h // 0.3,
    "logcumsumexp": lambda h: h.logcumsumexp(1),
    "median": lambda h: h - h.median(1, keepdim=True)[0],
    "bits": lambda h: ((h * 10).long() & 3).float(),
    "where int": lambda h: torch.where(h > 0, torch.ones_like(h, dtype=torch.long), 2).float(),
}


@pytest.mark.parametrize("name", LACKED)
def test_what_a_format_lacks_is_written_in_others(name: str, tmp_path: Path) -> None:
    export(LACKED[name], tmp_path / "net", ["onnx", "coreml"])
    report = verify_bundle(tmp_path / "net", steps=8)
    assert report.passed
    assert {artifact.format for artifact in report.artifacts} == {"onnx", "coreml"}


@torch.library.custom_op("edgernn_tests::twice", mutates_args=())
def twice(x: Tensor) -> Tensor:
    return x * 2


@pytest.mark.parametrize("to", ["onnx", "torchscript", "coreml"])
def test_an_operator_of_ones_own_is_refused_by_its_name(to: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"test_operators\.py.*edgernn_tests::twice"):
        export(lambda h: twice(h) + 1, tmp_path / "net", [to])
    assert not (tmp_path / "net").exists()


class Counting(nn.Module):
    """Its state is a counter, a truth value and a cell; one output is a state, too."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(
        self, x: Tensor, hx: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        h, count, seen = hx
        h = self.cell(x, h) / (count[:, None] + 1)
        seen = seen | (x[:, 0] > 1)
        return h, h.argmax(1) + seen, (h, count + 1, seen)


def counting(folder: Path, to: str | list[str], heard: list[str] | None = None) -> None:
    export_module(
        drawn(Counting()),
        {"x": "float32[batch, 3]"},
        folder,
        state={
            "hx": lambda rows: (
                torch.zeros(rows, 4),
                torch.zeros(rows, dtype=torch.int64),
                torch.zeros(rows, dtype=torch.bool),
            )
        },
        to=to,
        steps=8,
        tell=[].append if heard is None else heard.append,
    )


def test_whole_numbers_and_truth_values_are_state_in_every_format(tmp_path: Path) -> None:
    heard: list[str] = []
    counting(tmp_path / "net", ["onnx", "torchscript", "coreml"], heard)
    report = verify_bundle(tmp_path / "net", steps=8)
    assert report.passed
    assert [artifact.format for artifact in report.artifacts] == ["onnx", "torchscript", "coreml"]
    assert any("coreml-mlstate is left out" in line and "int64" in line for line in heard)


def test_a_runtime_that_keeps_floats_alone_refuses_a_counter(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="hx_1 is int64; export to coreml"):
        counting(tmp_path / "net", "coreml-mlstate")


class Stateless(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def test_a_network_without_state_is_told_and_has_nothing_for_a_runtime_to_keep(
    tmp_path: Path,
) -> None:
    heard: list[str] = []
    net, inputs, says = drawn(Stateless()), {"x": "float32[batch, 3]"}, "each call stands alone"
    export_module(net, inputs, tmp_path / "net", to="coreml", steps=8, tell=heard.append)
    report = verify_bundle(tmp_path / "net", steps=8)
    assert report.passed
    assert [artifact.format for artifact in report.artifacts] == ["coreml"]
    assert any(says in line for line in heard)
    found = explain_hoisted(hoist(net, inputs), "net")
    assert found.formats["coreml float16"] == ""
    assert "the step has none" in found.formats["coreml-mlstate float16"]
    assert says in explain_text(found)


def counted(h: Tensor) -> Tensor:
    """Uses an operator that only torch's graph capture writes in ONNX."""
    return torch.count_nonzero(h > 0, 1)[:, None] + h


def test_what_cannot_be_traced_is_captured_and_the_manifest_says_so(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    export(counted, tmp_path / "net", ["onnx"])
    (artifact,) = Bundle.open(tmp_path / "net").manifest.artifacts
    assert "by graph capture, onnxscript" in artifact.exporter
    assert verify_bundle(tmp_path / "net", steps=8).passed


def test_the_first_way_that_passes_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(model: RecurrentModel, file_contract: FileContract, **how: Any) -> onnx.ModelProto:
        made = traced(model, file_contract, **how)
        for node in made.graph.node:
            node.op_type = {"Tanh": "Sigmoid"}.get(node.op_type, node.op_type)
        return made

    traced, heard = exporter.trace, list[str]()
    monkeypatch.setattr(exporter, "trace", wrong)
    monkeypatch.setattr(exporter, "capture", lambda model, own, opset: traced(model, own))
    monkeypatch.setattr(exporter.OnnxExporter, "versions", lambda self: self.way)
    export(torch.tanh, tmp_path / "net", ["onnx"], heard)
    assert Bundle.open(tmp_path / "net").manifest.artifacts[0].exporter == "captured"
    assert any("onnx was captured, since the first way failed" in line for line in heard)


class Named(nn.Module):
    """Its state is called what Core ML keeps for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        state = self.cell(x, state)
        return state.sum(1, keepdim=True), state


def test_a_name_that_core_ml_keeps_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="argument or attribute that it is in a network"):
        export_module(
            drawn(Named()),
            {"x": "float32[batch, 3]"},
            tmp_path / "net",
            state={"state": lambda rows: torch.zeros(rows, 4)},
            to="coreml",
            steps=8,
        )
