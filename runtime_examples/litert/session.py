"""One model file, opened: named arrays in, named arrays out, in the contract's dtypes.

It stands in for ``../python/session.py``: the same words, over LiteRT.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from bundle import Bundle
from contract import BATCH, TIME
from errors import BundleError, first_line
from tensors import Arrays

FORMAT, TITLE = "litert", "a LiteRT"  # of the artifacts that it runs; in words
RUNTIME = "ai-edge-litert"  # as an artifact's ``requires`` calls it, and pip
VERSION = metadata.version(RUNTIME)


class Session:
    """One graph of the contract, run by LiteRT.

    Args:
        bundle: where the file is.
        artifact: its entry in the manifest.

    Attributes:
        path: of the file in the bundle.
        inputs: of the graph, as the contract has them; so ``outputs``.
        tolerance: how far the golden run may be off; None where the bundle does not say.
        forced: whether the golden run starts each step from the recorded state.
        open_time: whether the file takes several time steps in one call: never.
    """

    open_time = False

    def __init__(self, bundle: Bundle, artifact: dict[str, Any]) -> None:
        contract, narrowing = bundle.manifest["contract"], artifact["narrowing"]
        self.path: str = artifact["path"]
        self.tolerance: float | None = artifact["tolerance"]
        self.forced: bool = artifact["forced"]
        spec = next(graph for graph in contract["graphs"] if graph["name"] == artifact["graph"])
        self.inputs, self.outputs = spec["inputs"], spec["outputs"]
        self.dtypes: dict[str, str] = narrowing["dtypes"]
        if narrowing["axes"].get(BATCH, 1) != 1 or narrowing["runtime_state"]:
            raise BundleError(f"{self.path} takes no single row; choose another artifact")
        if narrowing["axes"].get(TIME, 1) != contract["step_frames"]:
            raise BundleError(f"{self.path} takes no single step; choose another artifact")
        self.runtime = self._opened(bundle.file(self.path))
        sizes = {**contract["sizes"], **narrowing["axes"]}
        self.given = self._places(self.inputs, self.runtime.get_input_details(), sizes)
        self.made = self._places(self.outputs, self.runtime.get_output_details(), sizes)

    def run(self, feed: Arrays) -> Arrays:
        """Return every output for every input of the graph."""
        try:
            for name, (place, dtype) in self.given.items():
                self.runtime.set_tensor(place, np.ascontiguousarray(feed[name], dtype))
            self.runtime.invoke()
        except (KeyError, RuntimeError, ValueError) as error:
            raise BundleError(
                f"{self.path} refuses its inputs: {first_line(error)}; give what the contract says"
            ) from error
        return {
            tensor["name"]: self.runtime.get_tensor(self.made[tensor["name"]][0]).astype(
                tensor["dtype"], copy=False
            )
            for tensor in self.outputs
        }

    def _opened(self, content: bytes) -> Interpreter:
        try:
            if content[4:8] != b"TFL3":
                raise ValueError("it does not begin as such a file")
            runtime = Interpreter(model_content=content, num_threads=1)
            runtime.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise BundleError(
                f"LiteRT {VERSION} cannot open {self.path}: {first_line(error)}; update "
                f"{RUNTIME}, or export the bundle again"
            ) from error
        return runtime

    def _places(
        self, specs: list[dict[str, Any]], details: list[dict[str, Any]], sizes: dict[str, int]
    ) -> dict[str, tuple[int, Any]]:
        """Return where each tensor lies, and its dtype, held against the contract."""
        found = {entry["name"]: entry for entry in details}
        names = sorted(spec["name"] for spec in specs)
        if sorted(found) != names:
            raise BundleError(
                f"{self.path} has the tensors {sorted(found)}, expected {names}; export the bundle "
                "again"
            )
        for spec in specs:
            shape = list(found[spec["name"]]["shape"])
            wanted = [sizes.get(axis, axis) for axis in spec["axes"]]
            dtype = np.dtype(self.dtypes.get(spec["name"], spec["dtype"]))
            if shape != wanted or found[spec["name"]]["dtype"] != dtype:
                raise BundleError(
                    f"{self.path} has {spec['name']} {shape}, expected {wanted} of {dtype}; export "
                    "the bundle again"
                )
        return {name: (entry["index"], entry["dtype"]) for name, entry in found.items()}


def lacking_runtime(artifact: dict[str, Any]) -> str | None:
    """Return which version of the runtime a file needs where this one is older: files name none."""
    return None
