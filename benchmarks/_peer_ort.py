"""onnxruntime, fed with what plain ``torch.onnx.export`` writes: what a user has without
edgernn.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from _peer_base import Peer, Stepper, Work, export_onnx, folder_bytes
from onnxruntime.quantization import quantize_dynamic

_ERRORS = 3


def _stepper(path: Path, work: Work) -> Stepper:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS
    run = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run
    names = work.names

    def step(
        token: int, state: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        logits, *after = run(
            None, {"tokens": np.array([[token]], np.int64), **dict(zip(names, state, strict=True))}
        )
        return logits, tuple(after)

    return Stepper(
        step, tuple(tensor.numpy() for tensor in work.zeros()), folder_bytes(path.parent)
    )


def _int8(work: Work) -> Stepper:
    path = work.folder("int8") / "model.onnx"
    quantize_dynamic(work.onnx, path)
    return _stepper(path, work)


def _dynamo(work: Work) -> Stepper:
    return _stepper(export_onnx(work, "dynamo", dynamo=True), work)


PEERS = (
    Peer(
        "ort",
        "torch.onnx.export, onnxruntime",
        ("onnx", "onnxruntime"),
        True,
        lambda work: _stepper(work.onnx, work),
    ),
    Peer(
        "ort-dynamo",
        "torch.onnx.export(dynamo=True), onnxruntime",
        ("onnxruntime", "onnxscript"),
        True,
        _dynamo,
    ),
    Peer(
        "ort-int8",
        "the first, quantize_dynamic, onnxruntime",
        ("onnx", "onnxruntime"),
        False,
        _int8,
    ),
)
