"""ONNX: one fused recurrent operator per layer, batch and time open and declared so, the contract in metadata_props.

torch's TorchScript-based exporter is used on purpose: the graph-capture one freezes the example's T in the declared shapes,
fails on ``nn.RNN`` and slices recurrent weights at run time. What is written is
judged by running it: packing rolls every file out against the reference.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import torch

from edgernn.contract import FileContract, first_line
from edgernn.errors import ContractError
from edgernn.export.base import Exporter
from edgernn.export.graphs import FlatGraph, example_inputs
from edgernn.interface import FileTensor
from edgernn.models.family import RecurrentModel

OPSET = 17  # with IR version 9 the newest that every runtime in the field reads, the browser's included
IR_VERSION = 9
_EXAMPLE_BATCH, _EXAMPLE_TIME = 2, 3  # neither 1, which exporters may treat as a constant


class OnnxExporter(Exporter):
    """Writes ``.onnx`` with torch's exporter and declares the contract's shapes."""

    format_name = "onnx"
    target = f"opset {OPSET}, IR {IR_VERSION}"

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        return f"torch {torch.__version__}, onnx {onnx.__version__}"

    def _write(self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str) -> None:
        interface = file_contract.interface()
        tensors = (*interface.inputs, *interface.outputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns that it is deprecated, and of a batch size it does not fix
            torch.onnx.export(
                FlatGraph(model, file_contract.graph),
                example_inputs(file_contract, batch=_EXAMPLE_BATCH, time=_EXAMPLE_TIME),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=[tensor.name for tensor in interface.inputs],
                output_names=[tensor.name for tensor in interface.outputs],
                dynamic_axes={tensor.name: _open_axes(tensor) for tensor in tensors},
            )
        graph = onnx.load(str(path))
        graph.ir_version = IR_VERSION
        _declare(graph, tensors)
        onnx.helper.set_model_props(graph, file_contract.to_metadata())
        try:
            onnx.checker.check_model(graph, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise ContractError(f"the onnx exporter wrote an invalid model: {first_line(error)}") from error
        onnx.save(graph, str(path))


def _open_axes(tensor: FileTensor) -> dict[int, str]:
    return {index: size for index, size in enumerate(tensor.shape or ()) if isinstance(size, str)}


def _declare(graph: onnx.ModelProto, tensors: tuple[FileTensor, ...]) -> None:
    """Write the contract's shape on every in- and output: names on open dimensions, sizes on fixed ones."""
    shapes = {tensor.name: tensor.shape or () for tensor in tensors}
    for value in (*graph.graph.input, *graph.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        del dimensions[:]
        for size in shapes[value.name]:
            dimensions.add(**({"dim_param": size} if isinstance(size, str) else {"dim_value": size}))
    del graph.graph.value_info[:]  # shapes inferred for the example's sizes
