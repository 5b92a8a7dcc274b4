"""ONNX files as containers of weights: their initialisers by name.

A whole ONNX network is better exported than imported: ``edgernn export FILE.onnx`` finds its state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgernn.containers.content import Content
from edgernn.containers.safetensors_files import widened
from edgernn.containers.source import Source
from edgernn.errors import UnavailableError

_EXPORT = "the network itself is taken by: edgernn export FILE.onnx"


def read_onnx(source: Source) -> Content:
    """Read the initialisers of an ONNX file.

    Raises:
        DataError: it is damaged, or its weights lie in other files.
        UnavailableError: the package onnx is missing.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise UnavailableError(
            "ONNX files are read by the package onnx, which is missing; install edgernn[export]"
        ) from error
    try:
        model = onnx.load_model_from_string(bytes(source.raw))
    except DecodeError as error:
        raise source.damaged(str(error)) from error
    tensors = model.graph.initializer
    outside = next((t for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL), None)
    if outside is not None:
        raise source.refused(
            f"has weights ({outside.name!r} …) that lie in another file; join them with: "
            "python -c \"import onnx; onnx.save(onnx.load('FILE'), 'NEW')\""
        )
    tree, left = {}, []
    for tensor in tensors:
        array = _array(source, tensor)
        if array is None:
            left.append(tensor.name)
        else:
            tree[tensor.name] = array
    told = [_EXPORT]
    if left:
        told.append(f"{len(left)} initialisers of types that numpy lacks were left out: {left[0]}")
    return Content(source.path, "ONNX initialisers", tree, told=tuple(told))


def _array(source: Source, tensor: Any) -> np.ndarray | None:
    """Return the values of a TensorProto; None where numpy has no such type."""
    from onnx import numpy_helper

    try:
        array = np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise source.damaged(str(error)) from error
    if array.dtype.name == "bfloat16":
        return widened(array.view(np.uint16))
    return array if array.dtype.kind in "fiub" and array.dtype.isbuiltin == 1 else None
