"""LiteRT: the step face, converted by litert-torch in an environment of its own, and rounded by
ai-edge-quantizer.

The step face is used for every cell: its products become FULLY_CONNECTED, whose weights can be
integers and which XNNPACK takes; torch's recurrent layers would be unrolled over time. LiteRT's
fused recurrent operators keep their state to themselves, and none is ever written. A file takes one
row and one step a call.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.export import ExportedProgram

from edgernn import storage
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import (
    BATCH,
    TIME,
    FileContract,
    GraphSpec,
    Narrowing,
    TensorSpec,
)
from edgernn.contract.file import FileDType
from edgernn.export.base import Exporter
from edgernn.export.environments import by_name
from edgernn.export.programs import exported_program
from edgernn.export.to_litert.converting import ENVIRONMENT, convert, rounded
from edgernn.export.to_litert.finishing import finished, in_one_piece
from edgernn.export.to_litert.rules import INTEGERS
from edgernn.formats.litert import LITERT
from edgernn.models.family import RecurrentModel
from edgernn.parity.structure.stored_litert import weight_table
from edgernn.sessions.litert.model_file import read
from edgernn.sessions.quiet import quiet

_WRITE_IT = ("litert-torch", "torch", "ai-edge-quantizer")
_SMALLER: dict[str, FileDType] = {"int64": "int32", "float64": "float32"}


class LiteRTExporter(Exporter):
    """Writes a ``.tflite`` file with the state as inputs and outputs."""

    format_name = LITERT.name

    def target(self, precision: str) -> str:
        """See ``Exporter.target``: the format has one version."""
        return "LiteRT"

    def narrowing(self, graph_spec: GraphSpec, precision: str) -> Narrowing:
        """One row, one step, and numbers of 32 bits at most."""
        tensors = (*graph_spec.inputs, *graph_spec.outputs)
        used = {axis for tensor in tensors for axis in tensor.axes}
        dtypes = {t.name: _dtype(t) for t in tensors if _dtype(t) != t.dtype}
        sizes = {BATCH: self.streams, TIME: 1}
        return Narrowing(
            axes={axis: size for axis, size in sizes.items() if axis in used}, dtypes=dtypes
        )

    def versions(self) -> str:
        """See ``Exporter.versions``."""
        return ", ".join(f"{name} {version}" for name, version in _versions().items())

    def _write(
        self, model: RecurrentModel, path: Path, *, file_contract: FileContract, precision: str
    ) -> tuple[StoredWeight, ...]:
        program = exported_program(model, file_contract)
        with quiet():
            program = program.run_decompositions({})  # of what writes in place alone
        data = finished(convert(program), file_contract, _weights(program))
        if precision in INTEGERS:
            data = in_one_piece(rounded(data, precision))
        storage.write_bytes(path, data)
        return weight_table(read(path)) if LITERT.promise(precision).integers else ()


def _dtype(tensor: TensorSpec) -> FileDType:
    return _SMALLER.get(tensor.dtype, tensor.dtype)


def _weights(program: ExportedProgram) -> dict[str, np.ndarray]:
    """Return layer → matrix, of every layer that has one."""
    return {
        name.removeprefix("inner.").removeprefix("model.").removesuffix(".weight"): tensor.numpy()
        for name, tensor in program.state_dict.items()
        if tensor.ndim > 1 and tensor.dtype == torch.float32
    }


def _versions() -> dict[str, str]:
    """Return what writes the file, as it is locked."""
    lock = dict(
        line.split("==") for line in by_name(ENVIRONMENT).lock_file.read_text("utf-8").split()
    )
    return {name: lock[name] for name in _WRITE_IT}
