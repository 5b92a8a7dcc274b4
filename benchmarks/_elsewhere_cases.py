"""The files that ``compatibility.py`` runs elsewhere: a tiny seeded language model for every cell,
exported in every column, each with its inputs and with what native onnxruntime computes.
"""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import EdgernnError
from edgernn.export.pack import export_bundle
from edgernn.export.source import Budget, ReducedOptions
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.ort.operators import needs_of

CHARACTERS = "".join(map(chr, range(32, 128)))
WIDTH, STEPS, WRITTEN, PROMPT = 64, 256, 32, 16
FILES = {
    "float32": "onnx/step.onnx",
    "float16": "onnx/step-float16.onnx",
    "int8": "onnx/step-int8.onnx",
    "int4": "onnx/step-int4.onnx",
    "generate": "onnx/generate.onnx",
}
PORTABLE = "portable"
_DTYPES = {1: "float32", 7: "int64", 10: "float16", 11: "float64"}
_ANY_LOSS = ReducedOptions(
    budget=Budget(perplexity="1000000000%")
)  # untrained: the loss says nothing


@dataclass(frozen=True)
class Case:
    """One file: its cell, its column, its folder on disk and what it needs."""

    cell: str
    column: str
    folder: Path
    needs: tuple[str, ...]


def make_cases(cells: Iterable[str], folder: Path) -> tuple[list[Case], dict[str, dict[str, str]]]:
    """Export every cell; return the files, and cell → column → why there is none."""
    cases, missing = [], {}
    for cell in cells:
        found, why = _exported(cell, folder / cell)
        missing[cell] = why
        for column, path in found.items():
            feeds = _feeds(column)
            own = folder / "cases" / f"{cell}-{column}"
            cases.append(written(cell, column, path, own, feeds))
    return cases, missing


def network(cell: str) -> LanguageModel:
    """Return the untrained model of a cell: two layers, no bias zero, and gains and rectified
    layers small enough that what one step rounds does not grow over the next ones.
    """
    torch.manual_seed(0)
    size = len(CHARACTERS)
    model = LanguageModel(LanguageConfig(vocabulary=size, cell=cell, embedding=WIDTH, hidden=WIDTH))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            if name.endswith("norm.weight"):
                parameter.mul_(0.3)
            elif cell == "rnn_relu" and "weight_hh" in name:
                parameter.mul_(0.9 / torch.linalg.matrix_norm(parameter, 2))
    return model.eval()


def _exported(cell: str, out: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return column → file, and column → why there is none."""
    model, tokenizer = network(cell), Tokenizer.build([CHARACTERS], "char")
    held_out = {"tokens": np.random.default_rng(0).integers(0, len(CHARACTERS), 2000)}
    made, paths, why = Checkpoint(model, tokenizer, {}, held_out), {}, {}
    asked: dict[str, dict[str, Any]] = {
        "float32": {"precision": "float32", "in_graph": True},
        **{precision: {"precision": precision} for precision in ("float16", "int8", "int4")},
    }
    if PORTABLE in inspect.signature(ReducedOptions).parameters:
        asked[PORTABLE] = {"options": ReducedOptions(portable=True)}
    for column, wishes in asked.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                export_bundle(
                    made, out / column, to=["onnx"], steps=8, release=True,
                    **{"options": _ANY_LOSS, **wishes},
                )  # fmt: skip
        except EdgernnError as error:
            why[column] = str(error)
            continue
        paths[column] = out / column / FILES.get(column, FILES["float32"])
        if column == "float32":
            paths["generate"] = out / column / FILES["generate"]
    return paths, why


def written(cell: str, column: str, path: Path, folder: Path, feeds: dict[str, np.ndarray]) -> Case:
    """Lay out one case for the child processes: model, fixed model, inputs, and the truth.

    Args:
        cell, column: what the file is of.
        path: the file.
        folder: a new one.
        feeds: what goes in beside the states, ``[calls, …]``.
    """
    folder.mkdir(parents=True)
    model = onnx.load(path)
    onnx.save(model, folder / "model.onnx")
    truth, outputs = _truth(path, feeds, model)
    sizes = {"batch": 1, "time": 1, "fed": PROMPT, "numbers": WRITTEN, "stops": 1}
    sizes["written"] = WRITTEN
    onnx.save(_fixed(model, sizes), folder / "fixed.onnx")
    states = [i for i in model.graph.input if i.name not in feeds]
    case = {
        "calls": len(next(iter(feeds.values()))),
        "inputs": [i.name for i in model.graph.input],
        "feeds": [_about(name, value[0]) for name, value in feeds.items()],
        "states": [{"name": i.name, "dtype": "float32", "shape": _shape(i, sizes)} for i in states],
        "outputs": outputs,
        "sizes": sizes,
    }
    (folder / "case.json").write_text(json.dumps(case))
    (folder / "feeds.bin").write_bytes(
        b"".join(
            feeds[each["name"]][call].tobytes()
            for call in range(case["calls"])
            for each in case["feeds"]
        )
    )
    (folder / "truth.bin").write_bytes(truth)
    return Case(cell, column, folder, tuple(sorted(needs_of(path))))


def _about(name: str, value: np.ndarray) -> dict[str, Any]:
    return {"name": name, "dtype": str(value.dtype), "shape": list(value.shape)}


def _shape(tensor: Any, sizes: dict[str, int]) -> list[int]:
    return [sizes.get(d.dim_param, d.dim_value) for d in tensor.type.tensor_type.shape.dim]


def _feeds(column: str) -> dict[str, np.ndarray]:
    """Return what goes in beside the states, ``[calls, …]``."""
    generator = np.random.default_rng(1)
    if column != "generate":
        return {"tokens": generator.integers(0, len(CHARACTERS), (STEPS, 1, 1))}
    return {
        "prompt": generator.integers(0, len(CHARACTERS), (1, PROMPT)),
        "length": np.array([WRITTEN]),
        "temperature": np.array([0.8]),
        "top_k": np.array([20]),
        "top_p": np.array([1.0]),
        "uniforms": generator.random((1, WRITTEN)),
        "stop": np.array([[-1]]),  # no token: some runtimes drop an input that is empty
    }


def _truth(
    path: Path, feeds: dict[str, np.ndarray], model: onnx.ModelProto
) -> tuple[bytes, list[dict[str, Any]]]:
    """Return the outputs of native onnxruntime over the chained calls, and what they are."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    sizes = {"batch": 1, "time": 1}
    state = {
        i.name: np.zeros(_shape(i, sizes), np.float32)
        for i in model.graph.input
        if i.name not in feeds
    }
    written, about = [], []
    for call in range(len(next(iter(feeds.values())))):
        fed = {name: np.asarray(value[call]) for name, value in feeds.items()} | state
        made = dict(zip(names, session.run(None, fed), strict=True))
        about = [_about(name, value) for name, value in made.items()]
        written += [value.tobytes() for value in made.values()]
        state = {name: made[f"{name}_next"] for name in state}
    return b"".join(written), about


def _fixed(model: onnx.ModelProto, sizes: dict[str, int]) -> onnx.ModelProto:
    """Return the model with every named size of its inputs and outputs fixed."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for tensor in (*fixed.graph.input, *fixed.graph.output):
        for dim in tensor.type.tensor_type.shape.dim:
            if dim.dim_param in sizes:
                dim.dim_value = sizes[dim.dim_param]
    del fixed.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(fixed)
