"""ncnn, its files made by pnnx from the ONNX file, in float32."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from _elsewhere import Advice, Runtime

ORDER = 8
_STEP = "`--to ncnn`, which refuses what comes out wrong"
_FLOAT = "`use_fp16_packed`, `_storage` and `_arithmetic` of `net.opt` to False before loading"
RUNTIMES = (
    Runtime(
        "ncnn", "ncnn by pnnx", ("ncnn==1.0.20261020",), bare=("pnnx==20261020",),
        about="`fp16=0`, which pnnx has to be told; sizes fixed, as it asks for them",
        advice=(Advice("inexact", _FLOAT), Advice("", _STEP)), fixes=False,
    ),
)  # fmt: skip


def prepare(
    name: str, path: str, case: Mapping[str, Any]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a call of the model."""
    import ncnn
    import numpy as np

    path = path.replace("model.onnx", "fixed.onnx")
    kinds = {"int64": "i64", "float32": "f32", "float64": "f64"}
    shapes = {each["name"]: each for each in (*case["feeds"], *case["states"])}
    said = ",".join(
        f"{shapes[each]['shape']}{kinds[shapes[each]['dtype']]}".replace(" ", "")
        for each in case["inputs"]
    )
    package = importlib.util.find_spec("pnnx")  # not imported: it asks for torch
    program = str(Path(package.submodule_search_locations[0]) / "pnnx")
    done = subprocess.run(
        [program, path, f"inputshape={said}", "fp16=0"], capture_output=True, text=True, check=False
    )
    stem = str(Path(path).with_suffix(""))
    if done.returncode or not Path(f"{stem}.ncnn.param").exists():
        lines = (done.stderr + done.stdout).strip().splitlines()
        raise RuntimeError(
            next((line for line in lines if "not supported" in line or "rror" in line), lines[-1])
        )
    odd = [line for line in done.stderr.splitlines() if "not supported" in line or "ignore" in line]
    net = ncnn.Net()
    if net.load_param(f"{stem}.ncnn.param") or net.load_model(f"{stem}.ncnn.bin"):
        raise RuntimeError((odd or ["ncnn does not load what pnnx wrote"])[0])

    def run(feeds: dict[str, Any]) -> dict[str, Any]:
        mats = [_one_row(feeds[each], np) for each in case["inputs"]]
        with net.create_extractor() as extractor:
            for at, value in enumerate(mats):
                if extractor.input(f"in{at}", ncnn.Mat(value)):
                    raise RuntimeError((odd or [f"ncnn has no input in{at}"])[0])
            found = {}
            for at, each in enumerate(case["outputs"]):
                code, value = extractor.extract(f"out{at}")
                if code:
                    raise RuntimeError((odd or [f"ncnn has no output out{at}"])[0])
                found[each["name"]] = np.array(value)
        return found

    return run


def _one_row(value: Any, np: Any) -> Any:
    """Return a tensor as ncnn takes it: without its axis of one row, and in 32 bits."""
    value = value.astype(np.int32 if value.dtype == np.int64 else np.float32)
    if value.ndim < 2:
        return np.atleast_1d(value)
    return np.ascontiguousarray(np.squeeze(value, 1 if value.ndim == 3 else 0))
