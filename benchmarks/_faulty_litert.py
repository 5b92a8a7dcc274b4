"""A ``.tflite`` file with one thing in it made wrong, and its digest made right again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _faulty import sign
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils


class Edited:
    """One file as the objects of its schema."""

    def __init__(self, data: bytes) -> None:
        self.model: Any = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
        (self.graph,) = self.model.subgraphs
        (self.signature,) = self.model.signatureDefs

    def bytes(self) -> bytes:
        """Return the file again."""
        return bytes(flatbuffer_utils.convert_object_to_bytearray(self.model))

    def tensor(self, name: str) -> Any:
        """Return the first tensor that is called so, or whose name ends so."""
        found = (t for t in self.graph.tensors if _text(t.name).endswith(name))
        return next(found)

    def place(self, name: str) -> int:
        """Return the number of that tensor."""
        return int(self.graph.tensors.index(self.tensor(name)))

    def values(self, name: str, dtype: str = "f4") -> np.ndarray:
        """Return the values of a constant ``[rows, …]``, which may be changed in place."""
        tensor = self.tensor(name)
        buffer = self.model.buffers[tensor.buffer]
        buffer.data = np.array(buffer.data, np.uint8)
        return buffer.data.view(dtype).reshape(tuple(tensor.shape))

    def raw(self, name: str) -> np.ndarray:
        """Return the bytes of a constant, row after row, which may be changed in place."""
        tensor = self.tensor(name)
        buffer = self.model.buffers[tensor.buffer]
        buffer.data = np.array(buffer.data, np.uint8)
        return buffer.data.reshape(tensor.shape[0], -1)

    def operators(self, kind: str) -> list[Any]:
        """Return the operators of a kind, in order."""
        code = getattr(schema.BuiltinOperator, kind)
        return [
            operator
            for operator in self.graph.operators
            if self.model.operatorCodes[operator.opcodeIndex].builtinCode == code
        ]

    def kind(self, name: str) -> int:
        """Return the number by which operators of this file say that they are of a kind, new where
        it has none.
        """
        code = getattr(schema.BuiltinOperator, name)
        for place, entry in enumerate(self.model.operatorCodes):
            if entry.builtinCode == code:
                return place
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
        self.model.operatorCodes.append(entry)
        return len(self.model.operatorCodes) - 1


def on_file(inner: str, change: Callable[[Edited], None]) -> Callable[[Path], None]:
    """Return what edits the file ``inner`` of a bundle folder."""

    def apply(folder: Path) -> None:
        edited = Edited((folder / inner).read_bytes())
        change(edited)
        (folder / inner).write_bytes(edited.bytes())
        sign(folder, inner)

    return apply


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
