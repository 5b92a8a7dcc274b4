"""OpenVINO on the CPU: in float32, which its user has to say, and as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from _elsewhere import IN_THE_HOST, Advice, Runtime

ORDER = 2
_PACKAGES = ("openvino==2026.4.1",)
_HINT = "`INFERENCE_PRECISION_HINT=f32`, or `--to openvino`, whose file says so itself"
RUNTIMES = (
    Runtime(
        "openvino", "OpenVINO", _PACKAGES,
        about="`INFERENCE_PRECISION_HINT=f32`", advice=(IN_THE_HOST,),
    ),
    Runtime(
        "openvino-default", "OpenVINO as it comes", _PACKAGES,
        about="no hint: it computes in bfloat16 where the processor can",
        advice=(IN_THE_HOST, Advice("", _HINT)),
    ),
)  # fmt: skip


def prepare(
    name: str, path: str, case: Mapping[str, Any]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a call of the model."""
    import openvino

    core = openvino.Core()
    hint = {"INFERENCE_PRECISION_HINT": "f32"} if name == "openvino" else {}
    compiled = core.compile_model(
        core.read_model(path), "CPU", {**hint, "INFERENCE_NUM_THREADS": 1}
    )
    request = compiled.create_infer_request()
    names = [each["name"] for each in case["outputs"]]  # an output may have several
    return lambda feeds: dict(zip(names, request.infer(feeds).values(), strict=True))
