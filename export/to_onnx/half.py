"""Float16 storage: the weights of an ONNX graph in half the bytes, computed with in float32.

Each large constant is stored in float16 and cast where it is read; runtimes fold the cast when they
load the file, so a step costs what it costs in float32. For runtimes without low-bit operators.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgernn.errors import UsageError

_SMALLEST = 64  # values; below that a cast costs more bytes than it saves


def store_half(model_proto: onnx.ModelProto) -> None:
    """Store every large float32 constant of ``model_proto`` in float16, in place.

    Raises:
        UsageError: a weight is not finite, or beyond the range of float16.
    """
    casts = []
    for index, tensor in enumerate(model_proto.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or prod(tensor.dims) < _SMALLEST:
            continue
        values = numpy_helper.to_array(tensor)
        if not np.isfinite(values).all():
            raise UsageError(
                "a weight is not finite, so it cannot be stored in float16; train or import "
                "the model again"
            )
        largest = float(np.abs(values).max())
        if not largest <= float(np.finfo(np.float16).max):
            raise UsageError(
                f"{tensor.name} holds {largest:g}, which float16 cannot; export float32"
            )
        name = f"{tensor.name}.half"
        casts.append(
            helper.make_node("Cast", [name], [tensor.name], name=name, to=TensorProto.FLOAT)
        )
        model_proto.graph.initializer[index].CopyFrom(
            numpy_helper.from_array(values.astype(np.float16), name)
        )
    nodes = [*casts, *model_proto.graph.node]
    del model_proto.graph.node[:]
    model_proto.graph.node.extend(nodes)
