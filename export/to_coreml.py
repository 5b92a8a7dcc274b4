"""Core ML: the step face as an mlprogram, with the state as in- and outputs, or kept by the runtime as MLState.

The step face is used for every cell: it converts to ``linear``, ``sigmoid`` and ``tanh``, which the Neural Engine takes;
torch's recurrent layers become operators that it does not take (LSTM) or loops of ninety operators (GRU). A file takes one
row and one step a call. Conversion runs on any machine; prediction needs macOS or iOS.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgernn.contract import BATCH, TIME, Contract, DType, FileContract, FileTensor, Narrowing, first_line
from edgernn.errors import ContractError
from edgernn.export.base import Exporter
from edgernn.export.graphs import StepGraph, example_inputs
from edgernn.models.language import LanguageModel

with contextlib.redirect_stderr(io.StringIO()):  # coremltools prints one line per missing macOS library
    import coremltools as ct
import numpy as np


class CoreMLExporter(Exporter):
    """Writes an ``.mlpackage`` for iOS 17 and macOS 14 with the state as inputs and outputs."""

    format_name = "coreml"
    target = "iOS17"

    def narrowing(self, contract: Contract, precision: str) -> Narrowing:
        """One row, one step, and int32 tokens: Core ML has no int64 inputs."""
        int64 = [t.name for t in contract.step.caller_inputs if t.dtype == "int64"]
        return Narrowing(axes={BATCH: 1, TIME: 1}, dtypes=dict.fromkeys(int64, "int32"))

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        return f"coremltools {ct.__version__}, torch {torch.__version__}"

    def _write(self, model: LanguageModel, path: Path, *, file_contract: FileContract, precision: str) -> None:
        interface = file_contract.interface()
        module = StepGraph(model.step_face())
        _convert(
            module,
            example_inputs(file_contract, batch=1, time=1),
            path,
            inputs=[_tensor_type(tensor) for tensor in interface.inputs],
            outputs=[ct.TensorType(name=tensor.name, dtype=_numpy(tensor)) for tensor in interface.outputs],
            precision=precision,
            target=self.target,
            metadata=file_contract.to_metadata(),
        )


class CoreMLStateExporter(CoreMLExporter):
    """Writes an ``.mlpackage`` for iOS 18 and macOS 15 whose state Core ML keeps itself, under the contract's names."""

    format_name = "coreml-mlstate"
    target = "iOS18"

    def narrowing(self, contract: Contract, precision: str) -> Narrowing:
        """As the explicit form; the states are float16, the only dtype that Core ML keeps."""
        explicit = super().narrowing(contract, precision)
        halves: dict[str, DType] = {state.name: "float16" for state in contract.step.states}
        return Narrowing(axes=explicit.axes, dtypes={**explicit.dtypes, **halves}, runtime_state=True)

    def _write(self, model: LanguageModel, path: Path, *, file_contract: FileContract, precision: str) -> None:
        interface = file_contract.interface()
        examples = dict(
            zip((spec.name for spec in file_contract.spec.inputs), example_inputs(file_contract, batch=1, time=1), strict=True)
        )
        states = {tensor.name: examples[tensor.name] for tensor in interface.states}
        _convert(
            _BufferedStep(model.step_face(), states),
            tuple(examples[tensor.name] for tensor in interface.inputs),
            path,
            inputs=[_tensor_type(tensor) for tensor in interface.inputs],
            outputs=[ct.TensorType(name=tensor.name, dtype=_numpy(tensor)) for tensor in interface.outputs],
            states=[_state_type(tensor) for tensor in interface.states],
            precision=precision,
            target=self.target,
            metadata=file_contract.to_metadata(),
        )


class _BufferedStep(nn.Module):
    """The step with its states as buffers that it overwrites: what coremltools turns into MLState."""

    def __init__(self, model: LanguageModel, states: dict[str, Tensor]) -> None:
        super().__init__()
        self.step_graph = StepGraph(model)
        self.names = list(states)
        for name, tensor in states.items():
            self.register_buffer(name, tensor.clone())

    def forward(self, tokens: Tensor) -> Tensor:
        results: tuple[Tensor, ...] = self.step_graph(tokens, *(getattr(self, name) for name in self.names))
        logits, *after = results
        for name, tensor in zip(self.names, after, strict=True):
            getattr(self, name)[:] = tensor
        return logits


def _convert(
    module: nn.Module,
    examples: tuple[Tensor, ...],
    path: Path,
    *,
    precision: str,
    target: str,
    metadata: dict[str, str],
    **types: Any,
) -> None:
    half = precision == "float16"
    with _silence():
        traced = torch.jit.trace(module.eval(), examples, check_trace=False)
        try:
            package = ct.convert(
                traced,
                convert_to="mlprogram",
                minimum_deployment_target=getattr(ct.target, target),
                compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
                skip_model_load=True,
                **types,
            )
        except (ValueError, RuntimeError, NotImplementedError) as error:
            raise ContractError(f"coremltools could not convert the step: {first_line(error)}") from error
        package.user_defined_metadata.update(metadata)
        package.save(str(path))


def _tensor_type(tensor: FileTensor) -> Any:
    return ct.TensorType(name=tensor.name, shape=tensor.shape, dtype=_numpy(tensor))


def _state_type(tensor: FileTensor) -> Any:
    return ct.StateType(wrapped_type=ct.TensorType(shape=tensor.shape, dtype=_numpy(tensor)), name=tensor.name)


def _numpy(tensor: FileTensor) -> Any:
    return np.dtype(tensor.dtype).type


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Hide the converter's progress bars and its warnings about torch versions it was not tested with."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
