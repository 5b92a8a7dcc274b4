"""IREE: the compiler for the CPU, and its runtime."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from _elsewhere import IN_THE_HOST, PORTABLE, Runtime

ORDER = 4
RUNTIMES = (
    Runtime(
        "iree", "IREE",
        ("iree-base-compiler==3.13.0", "iree-base-runtime==3.13.0", "onnx==1.23.2"),
        about="compiled for this processor",
        advice=(IN_THE_HOST, *PORTABLE),
        seconds=120,
        columns=("float32", "int8", "generate", "portable", "portable int8"),
    ),
)  # fmt: skip


def prepare(
    name: str, path: str, case: Mapping[str, Any]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a call of the model."""
    import iree.compiler.tools.import_onnx.__main__ as importing
    import iree.runtime
    from iree.compiler import tools

    text = Path(path).with_suffix(".mlir")
    arguments = importing.parse_arguments([path, "-o", str(text)])
    importing.main(arguments)
    compiled = tools.compile_file(
        str(text), target_backends=["llvm-cpu"], input_type="onnx",
        extra_args=["--iree-llvmcpu-target-cpu=host"],
    )  # fmt: skip
    module = iree.runtime.load_vm_flatbuffer(compiled, driver="local-sync")
    (function,) = (
        n
        for n in module.vm_module.function_names
        if not n.startswith("__") and not n.endswith("$async")
    )
    names, inputs = [each["name"] for each in case["outputs"]], case["inputs"]

    def run(feeds: dict[str, Any]) -> dict[str, Any]:
        found = getattr(module, function)(*(feeds[each] for each in inputs))
        found = found if isinstance(found, (list, tuple)) else [found]
        return {each: value.to_host() for each, value in zip(names, found, strict=True)}

    return run


def line(error: BaseException) -> str:
    """Return the operator that the compiler does not lower, which stands far behind its place."""
    text = next((each for each in str(error).splitlines() if "error: " in each), str(error))
    found = re.search(r'failed to legalize operation .*?name = "(onnx\.\w+)', text)
    return f"failed to legalize operation {found[1]}" if found else text.split("error: ")[-1]
