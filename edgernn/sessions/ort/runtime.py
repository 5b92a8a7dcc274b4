"""A file opened in onnxruntime, and what that says of it."""

from __future__ import annotations

import re
from pathlib import Path

import onnxruntime

from edgernn.contract import first_line
from edgernn.contract.interface import FileTensor, Interface
from edgernn.errors import ContractError
from edgernn.sessions.ort.floors import required_by
from edgernn.sessions.ort.guard import refuse_foreign
from edgernn.sessions.runtime_versions import refuse_older

_DTYPES = {
    "float": "float32",
    "double": "float64",
}  # onnxruntime's names, where they are not numpy's
_WARNINGS = 2


def open_runtime(path: Path, *, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open a file that needs nothing but itself and onnxruntime; what is not set here stays as
    onnxruntime has it.

    Measured at H = 64 and 512: memory patterns save 1.5 µs a step, all graph optimisations 2 µs,
    and both are on; neither the arena, the order of execution, denormals as zeros nor prepacking
    made a difference. With two threads, spinning (on) is what makes them pay below H = 1024.
    """
    refuse_older(required_by(refuse_foreign(path)), path.name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = (
        _WARNINGS  # a shape that disagrees with the file is a defect, not to be hidden
    )
    try:
        return onnxruntime.InferenceSession(
            _named(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors share no narrower base class
        raise ContractError(
            f"{path} is not a model that onnxruntime can open: {first_line(error)}"
        ) from error


def _named(path: Path) -> str | bytes:
    """Return what onnxruntime opens ``path`` by: its name, or its content where the name is not
    UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.read_bytes()
    return str(path)


def interface_of(runtime: onnxruntime.InferenceSession) -> Interface:
    """Return what an opened file takes and gives."""

    def tensors(arguments: list[onnxruntime.NodeArg]) -> tuple[FileTensor, ...]:
        return tuple(FileTensor(a.name, _dtype(a.type), tuple(a.shape)) for a in arguments)

    return Interface(tensors(runtime.get_inputs()), tensors(runtime.get_outputs()))


def _dtype(onnx_type: str) -> str:
    inner = re.sub(r"^tensor\((.*)\)$", r"\1", onnx_type)
    return _DTYPES.get(inner, inner)


def step_failure(error: Exception) -> ContractError:
    """Return what to raise where a step failed."""
    return ContractError(f"onnxruntime could not run the step: {first_line(error)}")
