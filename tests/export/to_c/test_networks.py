"""Networks of layers and networks that were taken apart, as C: what passes every check, and what is
told where an operator is lacking.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from foreign_files import cell_file
from torch import Tensor, nn

from edgernn.errors import ContractError
from edgernn.export.foreign_file import export_onnx
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


class Turn(nn.Module):
    """A GRU whose output goes through an arc tangent, which C has none of."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.atan(self.head(self.rnn(x)[0]))


def test_an_operator_that_c_lacks_is_told_by_name(tmp_path: Path) -> None:
    inputs, says = (
        {"x": "float32[batch, time, 4]"},
        "c does not have the operator Atan of the graph",
    )
    found = explain_hoisted(hoist(Turn().eval(), inputs), "a turn")
    assert found.formats["c float32"].startswith(says), found.formats
    assert found.formats["onnx float32"] == ""
    with pytest.raises(ContractError, match=f"^{says}"):
        export_module(Turn(), inputs, tmp_path / "net", to="c")
    assert not (tmp_path / "net").exists()


@pytest.mark.parametrize("opset", [17, 11])
def test_a_file_of_another_program_goes_in_where_its_operators_mean_the_same(
    opset: int, tmp_path: Path
) -> None:
    path = cell_file(tmp_path / "cell.onnx", ["h", "c"], ["h_out", "c_out"])
    model = onnx.load(path)
    next(n for n in model.graph.node if n.output[0] == "y").output[0] = "scores"
    model.graph.node.append(onnx.helper.make_node("Softmax", ["scores"], ["y"], axis=1))
    model.opset_import[0].version = opset
    onnx.save(model, path)
    if opset == 17:
        assert passed(export_onnx(path, tmp_path / "net", to="c"), steps=16) == {"c/step"}
        return
    with pytest.raises(ContractError, match=r"^c takes Softmax as opset 13 .* has opset 11; "):
        export_onnx(path, tmp_path / "net", to="c")
