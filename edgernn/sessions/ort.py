"""onnxruntime: runs ``.onnx`` files on the CPU."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnxruntime

from edgernn.contract import FileContract, first_line
from edgernn.errors import ContractError
from edgernn.interface import FileDescription, FileTensor, Interface
from edgernn.sessions.base import Arrays, Session
from edgernn.sessions.onnx_header import read_target

_DTYPES = {"float": "float32", "double": "float64"}  # onnxruntime's names, where they are not numpy's
_WARNINGS = 2


class OrtSession(Session):
    """A session of onnxruntime on one thread: a step of a small network is too short to share out."""

    runtime = "onnxruntime"

    def __init__(
        self, runtime: onnxruntime.InferenceSession, file_contract: FileContract, first_state: Arrays | None = None
    ) -> None:
        super().__init__(file_contract, first_state)
        self._runtime = runtime
        self._outputs = [output.name for output in runtime.get_outputs()]

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``."""
        runtime = _open(path)

        def tensors(arguments: list[onnxruntime.NodeArg]) -> tuple[FileTensor, ...]:
            return tuple(FileTensor(a.name, _dtype(a.type), tuple(a.shape)) for a in arguments)

        interface = Interface(tensors(runtime.get_inputs()), tensors(runtime.get_outputs()))
        return FileDescription(interface, dict(runtime.get_modelmeta().custom_metadata_map), read_target(path))

    @classmethod
    def open(cls, path: Path, file_contract: FileContract, first_state: Arrays | None = None) -> OrtSession:
        """See ``Session.open``."""
        return cls(_open(path), file_contract, first_state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            results = self._runtime.run(self._outputs, feeds)
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise ContractError(f"onnxruntime could not run the step: {first_line(error)}") from error
        return dict(zip(self._outputs, results, strict=True))


def _open(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _WARNINGS  # a shape that disagrees with the file is a defect, not to be hidden
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no narrower base class
        raise ContractError(f"{path} is not a model that onnxruntime can open: {first_line(error)}") from error


def _dtype(onnx_type: str) -> str:
    inner = re.sub(r"^tensor\((.*)\)$", r"\1", onnx_type)
    return _DTYPES.get(inner, inner)
