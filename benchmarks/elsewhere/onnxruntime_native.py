"""Native onnxruntime: the lowest version that runs files, the lowest that exports, the newest; and
the newest behind the two simplifiers that people put in front.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from _elsewhere import Advice, Runtime

ORDER = 0
_NEWEST = "onnxruntime==1.32.0"
RUNTIMES = (
    Runtime(
        "onnxruntime-1.18", "onnxruntime", ("onnxruntime==1.18.0", "numpy<2"), fixes=False,
        about="the lowest version that runs float files",
        advice=(Advice("", "onnxruntime 1.23, or `--portable`, in int8 too"),),
    ),
    Runtime(
        "onnxruntime-1.23", "onnxruntime", ("onnxruntime==1.23.0",), fixes=False,
        about="the lowest version that exports",
    ),
    Runtime("onnxruntime", "onnxruntime", (_NEWEST,), about="the newest version", fixes=False),
    Runtime(
        "onnxslim", "onnxruntime behind onnxslim", ("onnxslim==0.1.98", _NEWEST), fixes=False
    ),
    Runtime("onnxsim", "onnxruntime behind onnxsim", ("onnxsim==0.8.1", _NEWEST), fixes=False),
)  # fmt: skip


def prepare(
    name: str, path: str, case: Mapping[str, Any]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a call of the model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    model = {"onnxslim": _slim, "onnxsim": _simplified}.get(name, lambda path: path)(path)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(None, feeds)))  # noqa: B905 - of any Python


def _slim(path: str) -> bytes:
    import onnx
    import onnxslim

    return onnxslim.slim(onnx.load(path)).SerializeToString()


def _simplified(path: str) -> bytes:
    import onnx
    import onnxsim

    model, sound = onnxsim.simplify(onnx.load(path))
    if not sound:
        raise ValueError("onnxsim says that what it made computes something else")
    return model.SerializeToString()
