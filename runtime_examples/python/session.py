"""The model of a bundle: its step, and a captioner's encode, with state that goes in and comes out.

Needs numpy and onnxruntime. Every name, shape, id and limit is read from ``manifest.json``. Bad input raises ``InputError``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from bundle import Bundle, open_bundle
from manifest import DTYPES, InputError, Manifest, first_line, vocabulary_of
from onnx_guard import refuse_foreign
from tokenizer import Tokenizer

RUNTIME = "onnxruntime"  # as an artifact's ``requires`` calls it
Arrays = dict[str, np.ndarray]


class Graph:
    """One model file: named arrays in, named arrays out, in the contract's dtypes.

    Args:
        bundle: where the file is.
        artifact: its entry in the manifest.
    """

    def __init__(self, bundle: Bundle, artifact: dict[str, Any]) -> None:
        contract = bundle.manifest["contract"]
        self.path = artifact["path"]
        self.tolerance: float | None = artifact["tolerance"]
        self.forced: bool = artifact["forced"]
        spec = next(graph for graph in contract["graphs"] if graph["name"] == artifact["graph"])
        self.inputs, self.outputs = spec["inputs"], spec["outputs"]
        narrowing = artifact["narrowing"]
        self.dtypes: dict[str, str] = narrowing["dtypes"]
        for name, dtype in self.dtypes.items():
            if dtype not in DTYPES.values():
                raise InputError(
                    f"{self.path} takes {name} as {dtype}, expected a dtype of numpy; choose another artifact"
                )
        if narrowing["runtime_state"]:
            raise InputError(
                f"{self.path} keeps the state itself, expected one that goes in and out; choose another artifact"
            )
        for axis in ("batch", "time"):
            if (size := narrowing["axes"].get(axis, 1)) != 1:
                raise InputError(
                    f"{self.path} fixes {axis} at {size}, expected 1; choose another artifact"
                )
        self.open_time = "time" not in {**narrowing["axes"], **contract["sizes"]}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = (
            1  # a step is too small to share: threads would wait for one another
        )
        options.log_severity_level = 4  # what goes wrong is told below
        content = bundle.file(self.path)
        refuse_foreign(content, self.path)
        try:
            self.runtime = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise InputError(
                f"onnxruntime {onnxruntime.__version__} cannot open {self.path}: {first_line(error)}; update onnxruntime, "
                "or export the bundle again"
            ) from error
        self._check_file(contract["sizes"])

    def run(self, feed: Arrays) -> Arrays:
        """Return every output for every input of the graph."""
        names = [tensor["name"] for tensor in self.outputs]
        try:
            cast = {
                t["name"]: feed[t["name"]].astype(self.dtypes.get(t["name"], t["dtype"]))
                for t in self.inputs
            }
            made = self.runtime.run(names, cast)
        except Exception as error:  # as above
            raise InputError(
                f"{self.path} refuses its inputs: {first_line(error)}; give what the contract says"
            ) from error
        return {
            tensor["name"]: array.astype(tensor["dtype"])
            for tensor, array in zip(self.outputs, made, strict=True)
        }

    def _check_file(self, sizes: dict[str, int]) -> None:
        """Hold the names and the fixed sizes in the file against the contract."""
        for specs, found in (
            (self.inputs, self.runtime.get_inputs()),
            (self.outputs, self.runtime.get_outputs()),
        ):
            shapes = {tensor.name: tensor.shape for tensor in found}
            names = sorted(spec["name"] for spec in specs)
            if sorted(shapes) != names:
                raise InputError(
                    f"{self.path} has the tensors {sorted(shapes)}, expected {names}; export the bundle again"
                )
            for spec in specs:
                shape, axes = shapes[spec["name"]], spec["axes"]
                pairs = zip(shape, axes, strict=False)
                if len(shape) != len(axes) or any(
                    isinstance(n, int) and n != sizes.get(axis, n) for n, axis in pairs
                ):
                    wanted = [sizes.get(axis, axis) for axis in axes]
                    raise InputError(
                        f"{self.path} has {spec['name']} {shape}, expected {wanted}; export the bundle again"
                    )


@dataclass(frozen=True, eq=False)
class Session:
    """An opened bundle. It remembers nothing between calls: state is a plain dict of arrays, yours to keep, copy or save.

    Attributes:
        bundle: its files.
        stepper: the step file in use.
        encoder: a captioner's encode file, else None.
        tokenizer: made from the bundle's ``tokenizer.json``.
        learned: a learned first state by name, empty where the contract has none.
    """

    bundle: Bundle
    stepper: Graph
    encoder: Graph | None
    tokenizer: Tokenizer
    learned: Arrays

    @property
    def manifest(self) -> Manifest:
        """``manifest.json``."""
        return self.bundle.manifest

    def names(self, role: str) -> list[str]:
        """Return the names of step's inputs of a role: ``input``, ``context`` or ``state``."""
        return [tensor["name"] for tensor in self.stepper.inputs if tensor["role"] == role]

    @cached_property
    def vocabulary_size(self) -> int:
        """How many token ids there are."""
        return vocabulary_of(self.manifest)

    @cached_property
    def tokens(self) -> str:
        """The name of the input that takes token ids."""
        return self.names("input")[0]

    @property
    def logits(self) -> str:
        """The name of the output that rates every token."""
        below = next(tensor["below"] for tensor in self.stepper.inputs if tensor["role"] == "input")
        return str(self._output(below))

    @property
    def attention(self) -> str | None:
        """The name of the output that says where a captioner looked, or None."""
        return self._output("regions")

    def _output(self, axis: str) -> str | None:
        read = [tensor for tensor in self.stepper.outputs if tensor["role"] == "output"]
        return next((tensor["name"] for tensor in read if tensor["axes"][-1:] == [axis]), None)

    def initial_state(self) -> Arrays:
        """Return the state before the first step, by name, each ``[L, 1, H]``; a captioner may take it from ``encode``."""
        sizes = {**self.manifest["contract"]["sizes"], "batch": 1}
        specs = [tensor for tensor in self.stepper.inputs if tensor["role"] == "state"]
        zeros = {
            tensor["name"]: np.zeros([sizes[axis] for axis in tensor["axes"]], tensor["dtype"])
            for tensor in specs
        }
        return {**zeros, **self.learned}

    def step(self, inputs: Arrays, state: Arrays) -> tuple[Arrays, Arrays]:
        """Feed tokens int64 ``[1, T]``, and a captioner's contexts, under the names of the contract.

        Returns:
            The outputs, each ``[1, T, …]``, and the state after the last token, to be given to the next call.
        """
        ids, size = inputs[self.tokens], self.vocabulary_size
        if ids.min() < 0 or ids.max() >= size:  # the runtime would read another row
            raise InputError(
                f"a token id is {ids.min()} or {ids.max()}, expected 0 to {size - 1}; use the bundle's tokenizer"
            )
        made = self.stepper.run({**inputs, **state})
        after = {name: made.pop(f"{name}_next") for name in self.names("state")}
        return made, after

    def encode(self, image: np.ndarray) -> tuple[Arrays, Arrays]:
        """Look at a picture, uint8 ``[1, S, S, 3]``; return the contexts for every step, and the first state."""
        if self.encoder is None:
            raise InputError(
                "the bundle is a language model, which sees no pictures; expected a captioner; leave --image out"
            )
        made = self.encoder.run({self.encoder.inputs[0]["name"]: image})
        contexts = {name: made[name] for name in self.names("context")}
        state = {name: made.get(name, first) for name, first in self.initial_state().items()}
        return contexts, state


def load(path: Path, artifact: str | None = None) -> Session:
    """Open a bundle, a folder or a ``.edgernn`` file; every file is held against the manifest first.

    Args:
        path: the bundle.
        artifact: the path of a step file in the bundle; default the first that this onnxruntime can run.

    Raises:
        InputError: the bundle is missing, damaged or of another version, or has no such artifact.
    """
    bundle = open_bundle(path)
    chosen = _choose(bundle.manifest, artifact)
    encoder = _encoder_of(bundle.manifest, chosen)
    bundle.verify()
    entry = bundle.manifest["tokenizer"]
    return Session(
        bundle,
        Graph(bundle, chosen),
        Graph(bundle, encoder) if encoder else None,
        Tokenizer(bundle.file(entry["path"]), entry),
        _read_learned(bundle),
    )


def read_tensors(content: bytes, name: str) -> Arrays:
    """Read a safetensors file: the length of a JSON header in 8 bytes, the header, the data."""
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        arrays, body = {}, memoryview(content)[start:]
        for tensor, entry in header.items():
            begin, end = entry["data_offsets"]
            values = np.frombuffer(
                body[begin:end], np.dtype(DTYPES[entry["dtype"]]).newbyteorder("<")
            )
            arrays[tensor] = values.reshape(entry["shape"])
    except (
        AttributeError,
        LookupError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise InputError(
            f"{name} is no safetensors file ({first_line(error)}); export the bundle again"
        ) from error
    return arrays


def lacking_runtime(artifact: dict[str, Any]) -> str | None:
    """Return which version of onnxruntime a file needs where this one is older, else None."""
    needed = artifact["requires"].get(RUNTIME)
    return needed if needed and _version(onnxruntime.__version__) < _version(needed) else None


def _version(text: str) -> list[int]:
    """Return the numbers of a version; what follows them, such as rc1, does not count."""
    found = re.match(r"[0-9]+(\.[0-9]+)*", text)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    return (numbers + [0] * 4)[:4]


def _choose(manifest: Manifest, wanted: str | None) -> dict[str, Any]:
    """Return the entry of the step file that is asked for, or of the first that this runtime runs."""
    steps = [
        entry
        for entry in manifest["artifacts"]
        if entry["format"] == "onnx" and entry["graph"] == "step"
    ]
    found = [entry for entry in steps if wanted in {None, entry["path"]}]
    for entry in found:
        if lacking_runtime(entry) is None:
            return entry
    if found:
        needed = f"{found[0]['path']} needs onnxruntime {lacking_runtime(found[0])} or newer"
        raise InputError(
            f"{needed}, and {onnxruntime.__version__} is installed; run: pip install --upgrade onnxruntime"
        )
    there = f"expected an ONNX step file; choose one of: {', '.join(entry['path'] for entry in steps) or '(there is none)'}"
    for entry in manifest["artifacts"]:
        if entry["path"] == wanted:
            raise InputError(
                f"{wanted} is of format {entry['format']} and graph {entry['graph']}; {there}"
            )
    raise InputError(f"the bundle has no artifact {wanted or 'to run'}; {there}")


def _encoder_of(manifest: Manifest, step: dict[str, Any]) -> dict[str, Any] | None:
    """Return the encode file that goes with a step file: of its precision where there is one; None for a language model."""
    if all(graph["name"] != "encode" for graph in manifest["contract"]["graphs"]):
        return None
    there = [
        entry
        for entry in manifest["artifacts"]
        if entry["format"] == "onnx" and entry["graph"] == "encode"
    ]
    found = [entry for entry in there if lacking_runtime(entry) is None]
    if not found:
        wanted = f"expected one that onnxruntime {onnxruntime.__version__} runs"
        raise InputError(
            f"the bundle has no such ONNX encode file for {step['path']}; {wanted}; export the bundle again"
        )
    return next((entry for entry in found if entry["precision"] == step["precision"]), found[0])


def _read_learned(bundle: Bundle) -> Arrays:
    """Return the learned first state, each tensor as the contract has it."""
    contract, path = bundle.manifest["contract"], bundle.manifest["initial_state"]
    if contract["initial_state"] != "learned":
        return {}
    tensors, sizes = read_tensors(bundle.file(path), path), {**contract["sizes"], "batch": 1}
    step = next(graph for graph in contract["graphs"] if graph["name"] == "step")
    wanted = {
        t["name"]: (t["dtype"], tuple(sizes[axis] for axis in t["axes"]))
        for t in step["inputs"]
        if t["role"] == "state"
    }
    if {name: (str(array.dtype), array.shape) for name, array in tensors.items()} != wanted:
        raise InputError(
            f"{path} has {sorted(tensors)}, expected the states of the contract; export the bundle again"
        )
    return tensors
