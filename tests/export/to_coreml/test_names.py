"""Values that have one name in the code stay two in a Core ML file, whatever is around the step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgernn.contract import FileContract, Narrowing
from edgernn.export.to_coreml import exporter
from edgernn.export.to_coreml.inputs import AsInFile
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.sessions.mil.session import MilSession


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_cells_whose_states_are_called_as_the_input_keep_them_apart(
    cell: str,
    make_model: Callable[..., LanguageModel],
    tmp_path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(exporter, "in_file", AsInFile)  # one more module around the step
    model, path = make_model(cell=cell, layers=3), tmp_path / "step.mlpackage"
    exporter.CoreMLExporter().export(model, path, precision="float32", decoding=None)
    contract = model.config.contract()
    narrowing = Narrowing(axes={"batch": 1, "time": 1}, dtypes={"tokens": "int32"})
    file_contract = FileContract(contract=contract, narrowing=narrowing)
    session, reference = MilSession.open(path, file_contract), EagerSession(model)
    random = np.random.default_rng(1)
    state = {
        spec.name: random.normal(size=contract.shape(spec, batch=1)).astype(np.float32)
        for spec in contract.step.states
    }
    given = {"tokens": np.array([[3]])}
    outputs, after = session.step(given, state)
    expected, later = reference.step(given, state)
    for name, value in {**expected, **later}.items():
        assert np.abs({**outputs, **after}[name] - value).max() < 1e-5, name
