"""OpenVINO over the plain ONNX file, its shapes fixed; and the same with weights that nncf
compressed to 8 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _peer_base import Peer, Stepper, Work, folder_bytes

# Without the precision, processors with bfloat16 compute in it and the state drifts.
_OPTIONS = {
    "INFERENCE_PRECISION_HINT": "f32",
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "PERFORMANCE_HINT": "LATENCY",
}


def _float32(work: Work) -> Stepper:
    import openvino

    return _stepper(openvino.Core().read_model(work.onnx), work, name="ov")


def _int8(work: Work) -> Stepper:
    import nncf
    import openvino

    model = openvino.Core().read_model(work.onnx)
    return _stepper(
        nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM), work, name="ov-int8"
    )


def _stepper(model: Any, work: Work, *, name: str) -> Stepper:
    import openvino

    folder = work.folder(name)
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    request = openvino.Core().compile_model(model, "CPU", _OPTIONS).create_infer_request()

    def step(
        token: int, state: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        logits, *after = request.infer(
            [np.array([[token]], np.int64), *state], share_inputs=True
        ).values()
        return logits, tuple(after)

    return Stepper(step, tuple(tensor.numpy() for tensor in work.zeros()), folder_bytes(folder))


PEERS = (
    Peer("openvino", "OpenVINO, float32, static", ("onnx", "openvino"), True, _float32),
    Peer(
        "openvino-int8",
        "OpenVINO, nncf.compress_weights int8",
        ("onnx", "openvino", "nncf"),
        False,
        _int8,
    ),
)
