"""Networks of layers and networks that were taken apart, as C: what passes every check, and what is
told where an operator is lacking.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import ContractError
from edgernn.export.found import explain_hoisted
from edgernn.export.module_bundle import export_module
from edgernn.export.pack import export_bundle
from edgernn.hoisting.hoisted import hoist
from tests.export.test_networks import DEFINED, passed, run_folder


@pytest.mark.parametrize("name", DEFINED)
def test_a_network_of_layers_passes_every_check(name: str, tmp_path: Path) -> None:
    folder = run_folder(name, tmp_path / "run")
    bundle = export_bundle(folder, tmp_path / "net", to="c", steps=16)
    assert "c/step" in passed(bundle, steps=16)


class Wave(nn.Module):
    """A GRU whose output goes through a sine, which C has none of."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.head(self.rnn(x)[0]))


def test_an_operator_that_c_lacks_is_told_by_name(tmp_path: Path) -> None:
    inputs, says = {"x": "float32[batch, time, 4]"}, "c does not have the operator Sin of the graph"
    found = explain_hoisted(hoist(Wave().eval(), inputs), "a wave")
    assert found.formats["c float32"].startswith(says), found.formats
    assert found.formats["onnx float32"] == ""
    with pytest.raises(ContractError, match=f"^{says}"):
        export_module(Wave(), inputs, tmp_path / "net", to="c")
    assert not (tmp_path / "net").exists()
