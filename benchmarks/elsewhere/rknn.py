"""The compiler of Rockchip's NPUs and its simulator, whose state is fed back in float16."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from _elsewhere import IN_THE_HOST, PORTABLE, Runtime

ORDER = 10
RUNTIMES = (
    Runtime(
        "rknn", "RKNN toolkit 2, simulator",
        (
            "torch==2.13.0", "onnx==1.18.0", "numpy==1.26.4", "protobuf==4.25.4", "psutil==7.2.2",
            "ruamel.yaml==0.19.1", "scipy==1.17.1", "tqdm==4.70.1", "onnxruntime==1.23.0",
            "opencv-python-headless==4.11.0.86", "fast-histogram==0.14", "setuptools==80.10.2",
        ),
        bare=("rknn-toolkit2==2.5.0",),
        about="target rk3588, in float16; sizes fixed; beside a newer torch than it asks for",
        advice=(IN_THE_HOST, *PORTABLE), fixes=False, seconds=120,
        columns=("float32", "int8", "generate", "portable", "portable int8"),
    ),
)  # fmt: skip


def prepare(
    name: str, path: str, case: Mapping[str, Any]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a call of the model."""
    from rknn.api import RKNN

    path = path.replace("model.onnx", "fixed.onnx")
    os.chdir(Path(path).parent)  # where it leaves files of its own
    said = Path(path).with_suffix(".log")
    rknn = RKNN(verbose=False, verbose_file=str(said))
    rknn.config(target_platform="rk3588")
    for what, code in (
        ("load_onnx", lambda: rknn.load_onnx(model=path)),
        ("build", lambda: rknn.build(do_quantization=False)),
        ("init_runtime", rknn.init_runtime),
    ):
        if code():
            raise RuntimeError(_told(said) or f"{what} failed")
    names, inputs = [each["name"] for each in case["outputs"]], case["inputs"]

    def run(feeds: dict[str, Any]) -> dict[str, Any]:
        found = rknn.inference(inputs=[feeds[each] for each in inputs], data_format="nchw")
        if found is None:
            raise RuntimeError(_told(said) or "inference failed")
        return dict(zip(names, found, strict=True))

    return run


def _told(log: Path) -> str:
    """Return the first line of the log that is an error."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return next((line for line in lines if line.startswith("E ") or "rror:" in line), "")


def line(error: BaseException) -> str:
    """Return the last line: what it raises holds the trace of what it caught."""
    return str(error).strip().splitlines()[-1]
