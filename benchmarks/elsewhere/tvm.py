"""TVM: its importer of ONNX files into Relax, compiled for the CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from _elsewhere import IN_THE_HOST, PORTABLE, Runtime

ORDER = 6
RUNTIMES = (
    Runtime(
        "tvm", "TVM", ("apache-tvm==0.27.0", "onnx==1.23.2"),
        advice=(IN_THE_HOST, *PORTABLE),
        seconds=120,
    ),
)  # fmt: skip


def prepare(
    name: str, path: str, case: Mapping[str, Any]
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a call of the model."""
    import onnx
    import tvm
    from tvm import relax
    from tvm.relax.frontend.onnx import from_onnx

    module = from_onnx(onnx.load(path), keep_params_in_input=False)
    built = tvm.compile(relax.get_pipeline("zero")(module), target="llvm")
    machine = relax.VirtualMachine(built, tvm.cpu())
    names, inputs = [each["name"] for each in case["outputs"]], case["inputs"]

    def run(feeds: dict[str, Any]) -> dict[str, Any]:
        found = machine["main"](*(tvm.runtime.tensor(feeds[each]) for each in inputs))
        found = [found] if hasattr(found, "numpy") else found
        return {each: value.numpy() for each, value in zip(names, found, strict=True)}

    return run
