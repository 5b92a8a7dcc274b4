"""ncnn: one row and one step, in whole layers of ncnn where they are right and faster, else in
products: the step face.
"""

from __future__ import annotations

from pathlib import Path

import ncnn
import onnx
import torch

from edgernn import storage
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import BATCH, TIME, FileContract, GraphSpec, Narrowing
from edgernn.contract.file import METADATA_KEY, FileDType
from edgernn.errors import ContractError, UsageError
from edgernn.export.base import Exporter
from edgernn.export.to_ncnn.converting import convert
from edgernn.export.to_onnx.tracing import finish, trace
from edgernn.formats.ncnn import NCNN
from edgernn.models.family import RecurrentModel
from edgernn.models.recurrent import RecurrentStack
from edgernn.sessions.ncnn.folder import CONTRACT, TARGET, graph_of
from edgernn.sessions.ncnn.text import text_of
from edgernn.sessions.ncnn.weights import weight_table

_EXACT_AS_FLOATS = frozenset(("uint8", "int8", "int16", "uint16"))  # whole numbers up to 2^24
# the hidden sizes below which a whole layer takes less time than its products
_WHOLE_BELOW = {"LSTM": 1 << 31, "GRU": 80}


class NcnnExporter(Exporter):
    """Writes a folder of ncnn."""

    format_name = NCNN.name

    def target(self, precision: str) -> str:
        """See ``Exporter.target``."""
        return TARGET

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        return f"ncnn {ncnn.__version__}, torch {torch.__version__}, onnx {onnx.__version__}"

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """One row, one step; ids of 32 bits, and all else float32."""
        tensors = (*graph_spec.inputs, *graph_spec.outputs)
        used = {axis for tensor in tensors for axis in tensor.axes}
        dtypes: dict[str, FileDType] = {}
        for tensor in tensors:
            own: FileDType = "int32" if tensor.below is not None else "float32"
            if own != tensor.dtype:
                dtypes[tensor.name] = own
        return Narrowing(axes={axis: 1 for axis in (BATCH, TIME) if axis in used}, dtypes=dtypes)

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        refuse_uncarried(file_contract)
        model_proto = _graph(model, file_contract, fused=precision == "float32")
        write_folder(model_proto, path, file_contract, precision=precision)
        return weight_table(graph_of(path).weights)


def write_folder(
    model_proto: onnx.ModelProto, path: Path, file_contract: FileContract, *, precision: str
) -> None:
    """Write the ncnn of a graph, which is changed, whole or not at all.

    Raises:
        ContractError: an operator, or a use of one, that ncnn does not have; names it.
    """
    finish(model_proto, file_contract)
    layers, weights = convert(model_proto, file_contract, precision=precision)
    word = file_contract.graph
    files = {
        f"{word}.param": text_of(layers).encode("ascii"),
        f"{word}.bin": weights,
        CONTRACT: file_contract.to_metadata()[METADATA_KEY].encode(),
    }
    with storage.replacing(path) as folder:
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)


def _graph(model: RecurrentModel, file_contract: FileContract, *, fused: bool) -> onnx.ModelProto:
    """Return a graph in ONNX in float32, with every size fixed: of whole layers where that is
    faster in float32, else of the step face.
    """
    if model.own_file is not None:
        return onnx.load_from_string(model.own_file.step)
    return trace(model if fused and _is_faster_whole(model) else model.step_face(), file_contract)


def _is_faster_whole(model: RecurrentModel) -> bool:
    stack = getattr(model, "recurrent", None)
    if not isinstance(stack, RecurrentStack):
        return False
    return stack.fused.hidden_size < _WHOLE_BELOW.get(type(stack.fused).__name__, 0)


def refuse_uncarried(file_contract: FileContract) -> None:
    """Raise for a tensor that ncnn cannot carry: an open axis, or whole numbers that float32
    cannot.
    """
    interface = file_contract.interface()
    for tensor in (*interface.inputs, *interface.outputs):
        if axes := [axis for axis in tensor.shape or () if isinstance(axis, str)]:
            raise UsageError(
                f"ncnn files take fixed sizes, and {tensor.name} has the open axis {axes[0]}; say "
                f"its size with --axis {axes[0]}=20, or leave ncnn out"
            )
    spec = file_contract.spec
    for own in (*spec.inputs, *spec.outputs):
        carried = own.kind == "f" or own.dtype in _EXACT_AS_FLOATS or own.below is not None
        if not carried:
            raise ContractError(
                f"ncnn carries floats, and {own.name} is {own.dtype}, which is not carried as "
                "float32; leave ncnn out, or make it float32"
            )
