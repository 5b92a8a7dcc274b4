"""What is an ExecuTorch file's own: one delegate, the truth about its weights, what is refused.
What every exporter keeps is in ``test_exporters``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.errors import ContractError

pytest.importorskip("executorch")

from edgernn.export.base import Written
from edgernn.export.to_executorch.exporter import ExecuTorchExporter
from edgernn.export.to_executorch.lowering import rounded_rows, split_by_slices
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.model import HoistedModel
from edgernn.sessions.pte.program import read_program
from edgernn.sessions.pte.stored import FORWARD, graphs_of, stored_constants
from tests.hoisting.drawn import drawn
from tests.taggers import frame_network


def export(model: Any, path: Path, precision: str = "float32") -> Written:
    return ExecuTorchExporter().export(model, path, precision=precision, decoding=None)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_step_is_one_delegate_whose_weights_are_told(
    make_model: Callable[..., Any], tmp_path: Path, cell: str
) -> None:
    model, path = make_model(cell=cell), tmp_path / "step-int8.pte"
    written = export(model, path, "int8")
    assert written.told.startswith("1 delegate of XNNPACK with ")
    assert "aten::embedding.out (2)" in written.told
    matrices = [weight for weight in written.weights if len(weight.shape) > 1]
    assert {weight.dtype for weight in matrices} == {"int8"}
    assert all(weight.block_size == weight.shape[1] for weight in matrices)
    assert not any(weight.name.startswith("constant") for weight in matrices)
    recurrent = [weight.name for weight in matrices if weight.recurrent]
    assert len(recurrent) == model.config.layers
    table = next(weight for weight in matrices if weight.name == "embedding")
    assert table.touched_bytes == table.shape[1] + 4


def test_layers_of_a_network_with_code_of_its_own_are_rounded(tmp_path: Path) -> None:
    class Layered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(x)[0])

    model = HoistedModel(hoist(drawn(Layered()), {"x": "float32[batch, time, 5]"})).eval()
    written = export(model.step_face(), tmp_path / "step-int8.pte", "int8")
    matrices = [weight for weight in written.weights if len(weight.shape) > 1]
    assert [weight.dtype for weight in matrices] == ["int8"] * 3


def test_rounded_values_are_those_of_the_model(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    model, path = make_model(), tmp_path / "step-int8.pte"
    export(model, path, "int8")
    program = read_program(path)
    constants = stored_constants(program, graphs_of(program, program.by_name[FORWARD]))
    head = next(
        each
        for each in constants
        if each.shape == tuple(model.head.weight.shape) and not each.looked_up
    )
    error = np.abs(head.values() - model.head.weight.detach().numpy())
    assert (error <= head.scales[:, None] * 0.501).all()
    assert error.max() > 0


def test_what_xnnpack_takes_nothing_of_is_refused(tmp_path: Path) -> None:
    from edgernn.contract import Contract, GraphSpec, TensorSpec
    from edgernn.models.module import ModuleModel

    class Sorted(nn.Module):
        def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.cumsum(x, 1), torch.cumsum(h, 1)

    axes = ("batch", "features")
    tensors = {
        "inputs": (
            TensorSpec(name="x", role="input", dtype="float32", axes=axes),
            TensorSpec(name="h", role="state", dtype="float32", axes=axes),
        ),
        "outputs": (
            TensorSpec(name="y", role="output", dtype="float32", axes=axes),
            TensorSpec(name="h_next", role="state", dtype="float32", axes=axes),
        ),
    }
    contract = Contract(graphs=(GraphSpec(name="step", **tensors),), sizes={"features": 4})
    with pytest.raises(
        ContractError, match=r"XNNPACK took none of the operators aten::cumsum\.out"
    ):
        export(ModuleModel(Sorted(), contract), tmp_path / "step.pte")


def test_splits_become_slices() -> None:
    class Split(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            a, b = x.split([3, 1], 1)
            c, d = x.chunk(2, 0)
            return a.sum() * b.sum() + c.sum() - d.sum()

    x = torch.rand(2, 4)
    module = torch.export.export(Split(), (x,)).module()
    wanted = module(x)
    split_by_slices(module)
    called = {str(node.target) for node in module.graph.nodes}
    assert not any("split" in name or "chunk" in name for name in called)
    assert torch.equal(module(x), wanted)


def test_a_row_of_zeros_stays_zeros() -> None:
    table = torch.tensor([[0.0, 0.0], [-2.0, 1.0]])
    integers, scales = rounded_rows(table)
    assert integers.tolist() == [[0, 0], [-127, 64]]
    assert torch.allclose(integers * scales, table, atol=2 / 127 / 2)


def test_what_pictures_are_normalised_by_is_no_weight_that_stayed_float(tmp_path: Path) -> None:
    written = export(frame_network(), tmp_path / "step-int8.pte", "int8")
    matrices = [weight for weight in written.weights if len(weight.shape) > 1]
    assert {weight.dtype for weight in matrices} == {"int8"}
