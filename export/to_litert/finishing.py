"""What a converter leaves to be said in a ``.tflite`` file: the contract's names, the contract
itself, and what the weights are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

import edgernn
from edgernn.contract import FileContract
from edgernn.errors import ContractError
from edgernn.sessions.litert.model_file import SIGNATURE

_VERSION_KEY = "min_runtime_version"
_ARGUMENT, _RESULT = "args_", "output_"  # as litert-torch names them, before their number


def finished(data: bytes, file_contract: FileContract, weights: Mapping[str, np.ndarray]) -> bytes:
    """Return the file of which ``data`` are the bytes, named and with its metadata.

    Args:
        data: as the converter wrote it.
        file_contract: what it promises.
        weights: layer → matrix, to find what the file's constants are.

    Raises:
        ContractError: it has no signature as litert-torch writes it.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    graph, signature = _only(model.subgraphs, "graphs"), _only(model.signatureDefs, "signatures")
    _name_values(model, graph, weights)
    spec = file_contract.spec
    signature.signatureKey = SIGNATURE
    signature.inputs = _named(signature.inputs, _ARGUMENT, [t.name for t in spec.inputs])
    signature.outputs = _named(signature.outputs, _RESULT, [t.name for t in spec.outputs])
    graph.inputs = [each.tensorIndex for each in signature.inputs]
    graph.outputs = [each.tensorIndex for each in signature.outputs]
    for each in (*signature.inputs, *signature.outputs):
        graph.tensors[each.tensorIndex].name = each.name
    model.description = f"edgernn {edgernn.__version__}"
    _write_metadata(model, file_contract.to_metadata())
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def in_one_piece(data: bytes) -> bytes:
    """Return a file whose constants lie inside its graph; the quantiser writes large ones behind
    it.
    """
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _only(found: Sequence[Any] | None, what: str) -> Any:
    if found is None or len(found) != 1:
        raise ContractError(
            f"litert-torch wrote {len(found or ())} {what}, expected one; export another format"
        )
    return found[0]


def _named(entries: Sequence[Any] | None, prefix: str, names: Sequence[str]) -> list[Any]:
    """Return a signature's entries in the contract's order, under its names."""
    by_name = {_text(entry.name): entry for entry in entries or ()}
    if set(by_name) != {f"{prefix}{place}" for place in range(len(names))}:
        raise ContractError(
            f"litert-torch wrote the signature {sorted(by_name)}, expected {len(names)} of "
            f"{prefix}0 …; export another format"
        )
    made = []
    for place, name in enumerate(names):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, by_name[f"{prefix}{place}"].tensorIndex
        made.append(entry)
    return made


def _name_values(model: Any, graph: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Call each constant after the layer whose matrix it is, and all else by its number."""
    layers = {_key(array): name for name, array in weights.items()}
    layers |= {_key(_as_in_file(array)): name for name, array in weights.items() if array.ndim > 2}
    for place, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data
        key = (tuple(tensor.shape or ()), b"" if data is None else bytes(data))
        tensor.name = layers.get(key, f"t{place}")


def _key(array: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    return tuple(array.shape), np.ascontiguousarray(array, np.float32).tobytes()


def _as_in_file(kernel: np.ndarray) -> np.ndarray:
    """Return a kernel ``[out, in, …]`` as LiteRT has it, ``[out, …, in]``."""
    return np.moveaxis(kernel, 1, -1)


def _write_metadata(model: Any, entries: Mapping[str, str]) -> None:
    """Write what the file says of itself; of the converter's own, only which runtime it needs."""
    kept = [each for each in model.metadata or [] if _text(each.name) == _VERSION_KEY]
    for name, text in entries.items():
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(text.encode(), np.uint8)
        model.buffers.append(buffer)
        entry.name, entry.buffer = name, len(model.buffers) - 1
        kept.append(entry)
    model.metadata, model.metadataBuffer = kept, None


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name
