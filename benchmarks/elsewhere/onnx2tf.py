"""onnx2tf, whose file LiteRT runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from _elsewhere import IN_THE_HOST, Advice, Runtime

ORDER = 9
RUNTIMES = (
    Runtime(
        "onnx2tf", "LiteRT by onnx2tf", ("onnx2tf==1.29.24",),
        about="its `keep_shape_absolutely_input_names` for every input; sizes fixed",
        advice=(IN_THE_HOST, Advice("", "`--to litert`")), fixes=False, seconds=120,
        columns=("float32", "int8", "portable", "portable int8"),
    ),
)  # fmt: skip


def prepare(
    name: str, path: str, case: Mapping[str, Any]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a call of the model."""
    import onnx2tf
    import tensorflow

    path = path.replace("model.onnx", "fixed.onnx")
    folder = str(Path(path).parent / "tensorflow")
    os.chdir(Path(path).parent)  # where it leaves files of its own
    try:
        onnx2tf.convert(
            input_onnx_file_path=path, output_folder_path=folder, non_verbose=True,
            keep_shape_absolutely_input_names=list(case["inputs"]),
            copy_onnx_input_output_names_to_tflite=True, not_use_onnxsim=True,
            output_signaturedefs=True,
        )  # fmt: skip
    except SystemExit as error:
        raise RuntimeError("the converter ended the process") from error
    interpreter = tensorflow.lite.Interpreter(f"{folder}/fixed_float32.tflite", num_threads=1)
    call = interpreter.get_signature_runner()
    return lambda feeds: call(**feeds)
