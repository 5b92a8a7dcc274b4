"""One model file, opened: named arrays in, named arrays out, in the contract's dtypes."""

from __future__ import annotations

import re
from typing import Any

import onnxruntime
from bundle import Bundle
from contract import BATCH, DTYPES, TIME
from errors import BundleError, first_line
from onnx_guard import refuse_foreign
from tensors import Arrays

FORMAT, TITLE = "onnx", "an ONNX"  # of the artifacts that it runs; in words
RUNTIME = "onnxruntime"  # as an artifact's ``requires`` calls it, and pip
VERSION = onnxruntime.__version__


class Session:
    """One graph of the contract, run by onnxruntime.

    Args:
        bundle: where the file is.
        artifact: its entry in the manifest.

    Attributes:
        path: of the file in the bundle.
        inputs: of the graph, as the contract has them; so ``outputs``.
        tolerance: how far the golden run may be off; None where the bundle does not say.
        forced: whether the golden run starts each step from the recorded state.
        open_time: whether the file takes several time steps in one call.
    """

    def __init__(self, bundle: Bundle, artifact: dict[str, Any]) -> None:
        contract, narrowing = bundle.manifest["contract"], artifact["narrowing"]
        self.path: str = artifact["path"]
        self.tolerance: float | None = artifact["tolerance"]
        self.forced: bool = artifact["forced"]
        spec = next(graph for graph in contract["graphs"] if graph["name"] == artifact["graph"])
        self.inputs, self.outputs = spec["inputs"], spec["outputs"]
        self.dtypes: dict[str, str] = narrowing["dtypes"]
        sizes = {**contract["sizes"], **narrowing["axes"]}
        self.open_time = TIME not in sizes
        self._refuse_narrowing(narrowing, contract["step_frames"])
        content = bundle.file(self.path)
        refuse_foreign(content, self.path)
        self.runtime = self._opened(content)
        self._check_file(sizes)

    def run(self, feed: Arrays) -> Arrays:
        """Return every output for every input of the graph."""
        names = [tensor["name"] for tensor in self.outputs]
        try:
            cast = {
                t["name"]: feed[t["name"]].astype(self.dtypes.get(t["name"], t["dtype"]))
                for t in self.inputs
            }
            made = self.runtime.run(names, cast)
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise BundleError(
                f"{self.path} refuses its inputs: {first_line(error)}; give what the contract says"
            ) from error
        return {
            tensor["name"]: array.astype(tensor["dtype"])
            for tensor, array in zip(self.outputs, made, strict=True)
        }

    def _opened(self, content: bytes) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a step is too small to share: threads would wait
        options.log_severity_level = 4  # what goes wrong is told below
        try:
            return onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        except Exception as error:  # as above
            raise BundleError(
                f"onnxruntime {onnxruntime.__version__} cannot open {self.path}: "
                f"{first_line(error)}; update onnxruntime, or export the bundle again"
            ) from error

    def _refuse_narrowing(self, narrowing: dict[str, Any], step_frames: int) -> None:
        for name, dtype in self.dtypes.items():
            if dtype not in DTYPES.values():
                raise BundleError(
                    f"{self.path} takes {name} as {dtype}, expected a dtype of numpy; choose "
                    "another artifact"
                )
        if narrowing["runtime_state"]:
            raise BundleError(
                f"{self.path} keeps the state itself, expected one that goes in and out; choose "
                "another artifact"
            )
        for axis, wanted in ((BATCH, 1), (TIME, step_frames)):
            if (size := narrowing["axes"].get(axis, wanted)) != wanted:
                raise BundleError(
                    f"{self.path} fixes {axis} at {size}, expected {wanted}; choose another "
                    "artifact"
                )

    def _check_file(self, sizes: dict[str, int]) -> None:
        """Hold the names and the fixed sizes in the file against the contract."""
        for specs, found in (
            (self.inputs, self.runtime.get_inputs()),
            (self.outputs, self.runtime.get_outputs()),
        ):
            shapes = {tensor.name: tensor.shape for tensor in found}
            names = sorted(spec["name"] for spec in specs)
            if sorted(shapes) != names:
                raise BundleError(
                    f"{self.path} has the tensors {sorted(shapes)}, expected {names}; export the "
                    "bundle again"
                )
            for spec in specs:
                shape, axes = shapes[spec["name"]], spec["axes"]
                pairs = zip(shape, axes, strict=False)
                other = any(isinstance(n, int) and n != sizes.get(axis, n) for n, axis in pairs)
                if len(shape) != len(axes) or other:
                    wanted = [sizes.get(axis, axis) for axis in axes]
                    raise BundleError(
                        f"{self.path} has {spec['name']} {shape}, expected {wanted}; export the "
                        "bundle again"
                    )


def lacking_runtime(artifact: dict[str, Any]) -> str | None:
    """Return which version of onnxruntime a file needs where this one is older, else None."""
    needed = artifact["requires"].get(RUNTIME)
    return needed if needed and _version(onnxruntime.__version__) < _version(needed) else None


def _version(text: str) -> list[int]:
    """Return the numbers of a version; what follows them, such as rc1, does not count."""
    found = re.match(r"[0-9]+(\.[0-9]+)*", text)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    return (numbers + [0] * 4)[:4]
