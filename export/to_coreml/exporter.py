"""Core ML: the step face as an mlprogram, with the state as in- and outputs, or kept by the runtime
as MLState.

The step face is used for every cell: it converts to ``linear``, ``sigmoid`` and ``tanh``, which the
Neural Engine takes; torch's recurrent layers would become operators that it does not take (LSTM) or
loops of ninety operators (GRU), so those over a fixed sequence are written out, too
(``recurrent``). A file takes one row and one step a call. Conversion runs on any machine;
prediction needs macOS or iOS.

In 8 and 4 bits the matrices alone are compressed (``weights``): products and states are
those of float16.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import BATCH, PICTURE, TIME, FileContract, GraphSpec, Narrowing
from edgernn.contract.file import FileDType
from edgernn.contract.interface import FileTensor
from edgernn.export.base import Exporter
from edgernn.export.graphs import FlatGraph, example_inputs
from edgernn.export.to_coreml.converting import convert
from edgernn.export.to_coreml.inputs import (
    FromPictures,
    in_file,
    input_dtype,
    plain_dtype,
    planes,
)
from edgernn.export.to_coreml.kept import kept_notes, refuse_lost_states
from edgernn.export.to_coreml.operators import OPERATORS
from edgernn.export.to_coreml.refusals import (
    refuse_not_finite,
    refuse_open,
    refuse_reserved,
    refuse_stateless,
    refuse_whole_numbers,
)
from edgernn.export.to_coreml.weights import SCHEMES, refuse_floats, weight_table
from edgernn.formats.coreml import COREML, COREML_MLSTATE
from edgernn.models.family import RecurrentModel
from edgernn.sessions.quiet import quiet

# coremltools prints one line per missing macOS library, and what executorch does that it imports
with quiet():
    import coremltools as ct


class CoreMLExporter(Exporter):
    """Writes an ``.mlpackage`` with the state as inputs and outputs, for iOS 17 and macOS 14; 4
    bits need iOS 18, macOS 15.
    """

    format_name = COREML.name
    _lowest = "iOS17"

    def target(self, precision: str) -> str:
        """See ``Exporter.target``: where the precision's compression, too, can be read."""
        scheme = SCHEMES.get(precision)
        return self._lowest if scheme is None else max(self._lowest, scheme.target)

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """One row, one step, and the dtypes that Core ML has; see ``input_dtype``."""
        tensors = (*graph_spec.inputs, *graph_spec.outputs)
        used = {axis for tensor in tensors for axis in tensor.axes}
        own = {t.name: plain_dtype(t) for t in graph_spec.outputs}
        own |= {t.name: input_dtype(t) for t in graph_spec.inputs}
        dtypes = {t.name: own[t.name] for t in tensors if own[t.name] != t.dtype}
        return Narrowing(axes={axis: 1 for axis in (BATCH, TIME) if axis in used}, dtypes=dtypes)

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        return f"coremltools {ct.__version__}, torch {torch.__version__}"

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        refuse_not_finite(model)
        refuse_reserved(file_contract)
        interface = file_contract.interface()
        refuse_open(interface)
        graph = _in_file_dtypes(model, file_contract)
        examples = example_inputs(file_contract, batch=1, time=1)
        pictures = [tensor.dtype == PICTURE for tensor in interface.inputs]
        convert(
            FromPictures(graph, pictures) if any(pictures) else graph,
            tuple(
                planes(e) if picture else e for e, picture in zip(examples, pictures, strict=True)
            ),
            path,
            inputs=[_tensor_type(tensor) for tensor in interface.inputs],
            outputs=[
                ct.TensorType(name=tensor.name, dtype=_numpy(tensor))
                for tensor in interface.outputs
            ],
            precision=precision,
            target=self.target(precision),
            metadata=file_contract.to_metadata(),
        )
        return _checked_weights(path, model, precision)


class CoreMLStateExporter(CoreMLExporter):
    """Writes an ``.mlpackage`` for iOS 18 and macOS 15 whose state Core ML keeps itself, under the
    contract's names.
    """

    format_name = COREML_MLSTATE.name
    _lowest = "iOS18"

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """As the explicit form; the states are float16, the only dtype that Core ML keeps."""
        explicit = super().narrowing(graph_spec, precision)
        halves: dict[str, FileDType] = {state.name: "float16" for state in graph_spec.states}
        return Narrowing(
            axes=explicit.axes, dtypes={**explicit.dtypes, **halves}, runtime_state=True
        )

    def notes(self, file_contract: FileContract) -> tuple[str, ...]:
        """See ``Exporter.notes``."""
        return kept_notes(file_contract)

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        refuse_not_finite(model)
        refuse_stateless(file_contract)
        refuse_whole_numbers(file_contract)
        interface = file_contract.interface()
        refuse_open(interface)
        examples = dict(
            zip(
                (spec.name for spec in file_contract.spec.inputs),
                example_inputs(file_contract, batch=1, time=1),
                strict=True,
            )
        )
        states = {tensor.name: examples[tensor.name] for tensor in interface.states}
        step = _in_file_dtypes(model, file_contract)
        convert(
            _BufferedStep(step, states),
            tuple(examples[tensor.name] for tensor in interface.inputs),
            path,
            inputs=[_tensor_type(tensor) for tensor in interface.inputs],
            outputs=[
                ct.TensorType(name=tensor.name, dtype=_numpy(tensor))
                for tensor in interface.outputs
            ],
            states=[_state_type(tensor) for tensor in interface.states],
            precision=precision,
            target=self.target(precision),
            metadata=file_contract.to_metadata(),
        )
        refuse_lost_states(path, file_contract, step, examples)
        return _checked_weights(path, model, precision)


def _in_file_dtypes(model: RecurrentModel, file_contract: FileContract) -> nn.Module:
    """Return a graph of the step face in Core ML's operators and dtypes; pictures and ids come as
    they are.
    """
    graph = FlatGraph(model.step_face().written_in(OPERATORS), file_contract.graph)
    spec = file_contract.spec
    given = [
        None if t.is_ids or input_dtype(t) in (PICTURE, t.dtype) else getattr(torch, t.dtype)
        for t in spec.inputs
    ]
    made = [
        None if plain_dtype(t) == t.dtype else getattr(torch, plain_dtype(t)) for t in spec.outputs
    ]
    return in_file(graph, given, made, example_inputs(file_contract, batch=1, time=1))


class _BufferedStep(nn.Module):
    """The step with its states as buffers that it overwrites: what coremltools turns into
    MLState.

    The step reads copies. Of an operator that changes nothing, such as ``.float()``, torch gives
    back the buffer itself, and its tracer takes the assignment for one to that operator's result,
    which coremltools does not follow: the state would never be written.
    """

    def __init__(self, step: nn.Module, states: dict[str, Tensor]) -> None:
        super().__init__()
        self.step = step
        self.names = list(states)
        for name, tensor in states.items():
            self.register_buffer(name, tensor.clone())

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...] | Tensor:
        results: tuple[Tensor, ...] = self.step(
            *inputs, *(getattr(self, name).clone() for name in self.names)
        )
        read, after = results[: -len(self.names)], results[-len(self.names) :]
        for name, tensor in zip(self.names, after, strict=True):
            getattr(self, name)[:] = tensor
        return read if len(read) > 1 else read[0]


def _checked_weights(path: Path, model: RecurrentModel, precision: str) -> tuple[StoredWeight, ...]:
    """Read the table of weights from what was saved; raise ContractError where one is not stored as
    asked.
    """
    table = weight_table(
        path, layers=[name.replace("/", ".") for name, _ in model.named_modules() if name]
    )
    refuse_floats(table, precision)
    return table


def _tensor_type(tensor: FileTensor) -> Any:
    if tensor.dtype == PICTURE:
        batch, height, width, channels = tensor.shape or ()
        shape = (batch, channels, height, width)
        layout = ct.colorlayout.GRAYSCALE if channels == 1 else ct.colorlayout.RGB
        return ct.ImageType(name=tensor.name, shape=shape, color_layout=layout)
    return ct.TensorType(name=tensor.name, shape=tensor.shape, dtype=_numpy(tensor))


def _state_type(tensor: FileTensor) -> Any:
    return ct.StateType(
        wrapped_type=ct.TensorType(shape=tensor.shape, dtype=_numpy(tensor)), name=tensor.name
    )


def _numpy(tensor: FileTensor) -> Any:
    return np.dtype(tensor.dtype).type
