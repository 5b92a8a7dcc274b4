"""A model that came as an ONNX file: its own file opened to judge, and laid into the bundle."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgernn import storage
from edgernn.contract import FileContract
from edgernn.errors import ContractError
from edgernn.export.to_onnx.tracing import finish
from edgernn.models.family import RecurrentModel
from edgernn.sessions.ort.step import OrtSession


def write_own_file(path: Path, model: RecurrentModel, file_contract: FileContract) -> None:
    """Write the file that the model came as, with its interface alone changed, to ``path``."""
    if model.own_file is None:
        raise ContractError("the model did not come as an ONNX file, so there is none to judge by")
    model_proto = onnx.load_from_string(model.own_file.reference)
    finish(model_proto, file_contract)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model_proto, str(path))


def open_own_file(model: RecurrentModel, file_contract: FileContract) -> OrtSession:
    """Open the file that the model came as."""
    states = file_contract.contract.step.states
    first = {
        spec.name: tensor.numpy()
        for spec, tensor in zip(states, model.initial_state(1), strict=True)
    }
    with storage.scratch() as folder:
        path = folder / "own.onnx"
        write_own_file(path, model, file_contract)
        return OrtSession.open(path, file_contract, first)
