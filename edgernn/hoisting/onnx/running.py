"""Running a foreign graph in onnxruntime: outputs and inner tensors, at chosen sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from edgernn.contract import first_line
from edgernn.errors import ContractError
from edgernn.hoisting.onnx.axes import Declared

_ERRORS_ALONE = 3  # of onnxruntime's levels: shapes that a file declares wrongly are the file's
Arrays = Mapping[str, np.ndarray]


class Runner:
    """One graph, opened; ``more`` are inner tensors that come out beside the outputs.

    Raises:
        ContractError: onnxruntime does not open it; names why.
    """

    def __init__(self, model_proto: onnx.ModelProto, more: Iterable[str] = ()) -> None:
        self.names = [value.name for value in model_proto.graph.output]
        wanted = [name for name in dict.fromkeys(more) if name not in self.names]
        if wanted:
            copied = onnx.ModelProto()
            copied.CopyFrom(model_proto)
            copied.graph.output.extend(map(helper.make_empty_tensor_value_info, wanted))
            model_proto = copied
        self.names += wanted
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ALONE + 1
        try:
            self._runtime = onnxruntime.InferenceSession(
                model_proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise ContractError(f"onnxruntime cannot open it: {first_line(error)}") from error

    def __call__(self, feeds: Arrays) -> dict[str, np.ndarray]:
        """Return every output by name; raise ContractError where the graph does not run."""
        try:
            made = self._runtime.run(self.names, dict(feeds))
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise ContractError(f"onnxruntime cannot run it: {first_line(error)}") from error
        return dict(zip(self.names, made, strict=True))


def drawn(declared: Declared, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Return values for an input: ids below their bound, floats normal, other integers 0 or 1."""
    if declared.below is not None and declared.below.size is not None:
        return random.integers(0, declared.below.size, shape).astype(declared.dtype)
    if declared.dtype.startswith("float"):
        return np.asarray(random.normal(size=shape)).astype(declared.dtype)
    return random.integers(0, 2, shape).astype(declared.dtype)
