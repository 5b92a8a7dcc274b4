"""MNN: its converter of ONNX files, and its modules."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from _elsewhere import IN_THE_HOST, PORTABLE, Runtime

ORDER = 7
RUNTIMES = (
    Runtime(
        "mnn", "MNN", ("MNN==3.6.1",),
        advice=(IN_THE_HOST, *PORTABLE),
    ),
)  # fmt: skip


def prepare(
    name: str, path: str, case: Mapping[str, Any]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a call of the model."""
    import MNN
    import numpy as np

    names, inputs = [each["name"] for each in case["outputs"]], case["inputs"]
    module = MNN.nn.load_module_from_file(_converted(Path(path)), inputs, names, precision_mode=1)

    def given(value: Any) -> Any:
        whole = value.dtype == np.int64
        kind = MNN.expr.int if whole else MNN.expr.float
        value = np.ascontiguousarray(value, np.int32 if whole else np.float32)
        return MNN.expr.const(value, list(value.shape), MNN.expr.NCHW, kind)

    def run(feeds: dict[str, Any]) -> dict[str, Any]:
        found = module.onForward([given(feeds[each]) for each in inputs])
        return {each: np.array(value.read()) for each, value in zip(names, found, strict=True)}

    return run


def _converted(path: Path) -> str:
    """Return the file that the converter writes; raise with its line where it writes none."""
    os.chdir(path.parent)  # where it leaves files of its own
    out = path.with_suffix(".mnn")
    command = ["mnnconvert", "-f", "ONNX", "--modelFile", path, "--MNNModel", out, "--bizCode", "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not out.exists():
        found = re.search(r"These Op Not Support: .*", done.stdout + done.stderr)
        how = f"by signal {-done.returncode}" if done.returncode < 0 else "without a file"
        raise RuntimeError(found.group() if found else f"the converter ended {how}")
    return str(out)
