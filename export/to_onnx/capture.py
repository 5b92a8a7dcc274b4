"""A graph of a network as ONNX by torch's graph capture: the way that is tried where the traced one
fails, or does not keep the contract.

It needs the package onnxscript. It knows operators that the other lacks; it is slower, and does not
know some that the other has.
"""

from __future__ import annotations

import importlib.util

import onnx
import torch
from torch.export import Dim

from edgernn.contract import FileContract, first_line
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError
from edgernn.export.graphs import example_inputs
from edgernn.models.family import RecurrentModel
from edgernn.models.module import ModuleModel
from edgernn.sessions.quiet import quiet

_BATCH, _TIME = 2, 3  # neither 1, which is taken for a constant


def can_capture(model: RecurrentModel) -> bool:
    """Whether graphs of ``model`` can be captured here: a network's own, onnxscript installed."""
    return isinstance(model, ModuleModel) and importlib.util.find_spec("onnxscript") is not None


def capture(model: RecurrentModel, file_contract: FileContract, *, opset: int) -> onnx.ModelProto:
    """Return a graph of ``model`` in float32, with the contract's names, and its open axes open.

    Raises:
        ContractError: the graph cannot be captured, or not be written in ``opset``.
    """
    interface = file_contract.interface()
    if not can_capture(model):
        raise ContractError("graph capture needs a network of one's own, and onnxscript installed")
    assert isinstance(model, ModuleModel)
    try:
        with quiet():
            program = torch.onnx.export(
                model.module_of(file_contract.graph),
                example_inputs(file_contract, batch=_BATCH, time=_TIME),
                dynamo=True,
                opset_version=opset,
                input_names=[tensor.name for tensor in interface.inputs],
                output_names=[tensor.name for tensor in interface.outputs],
                dynamic_shapes=tuple(_open_axes(tensor) for tensor in interface.inputs),
                verbose=False,
            )
    except (RuntimeError, ValueError, TypeError, torch.onnx.OnnxExporterError) as error:
        raise ContractError(
            f"torch.onnx could not capture {file_contract.graph}: {first_line(error)}"
        ) from error
    assert program is not None
    model_proto: onnx.ModelProto = program.model_proto
    versions = {opset.domain: opset.version for opset in model_proto.opset_import}
    if versions.keys() - {"", "ai.onnx"} or versions.get("") != opset:
        raise ContractError(f"graph capture wrote operator sets {versions}, expected {opset}")
    return model_proto


def _open_axes(tensor: FileTensor) -> dict[int, object]:
    sizes = enumerate(tensor.shape or ())
    return {place: Dim.DYNAMIC for place, size in sizes if isinstance(size, str)}
