"""The files that ``compatibility.py`` runs elsewhere: a tiny seeded language model for every cell,
exported in every column, and hoisted networks with operators that no cell has, each with its inputs
and with what native onnxruntime computes.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from _coverage_networks import NETWORKS as CASES
from _faulty_stacks import described_checkpoint

from edgernn.bundle import Bundle
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import EdgernnError
from edgernn.export.operators import Operators
from edgernn.export.pack import export_bundle
from edgernn.export.source import Budget, ReducedOptions
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.sessions.ort.operators import needs_of

CHARACTERS = "".join(map(chr, range(32, 128)))
WIDTH, STEPS, WRITTEN, PROMPT = 64, 256, 32, 16
DONE = "done"
# of coverage.py: with operators that no cell has, and with states of zeros
NETWORKS = (
    "peephole", "layer norm", "int64 state", "causal convolution", "strides", "latency",
    "attention over a window",
)  # fmt: skip
STACKS: dict[str, dict[str, Any]] = {  # of edgernn's own: language models as those of a cell
    "residual stack": {"cell": "lstm", "layers": 4, "between": "residual"},
    "highway stack": {"cell": "gru", "layers": 4, "between": "highway"},
}
DESCRIBED = {"ConvLSTM": "frames", "dilated convolutions": "causal_convolution"}
OTHERS = (*STACKS, *DESCRIBED, *NETWORKS)  # than cells
_DTYPES = {1: "float32", 7: "int64", 10: "float16", 11: "float64"}
_ANY_LOSS = ReducedOptions(
    budget=Budget(perplexity="1000000000%")
)  # untrained: the loss says nothing


@dataclass(frozen=True)
class Case:
    """One file: its cell or network, its column, its folder on disk and what it needs."""

    cell: str
    column: str
    folder: Path
    needs: tuple[str, ...]


def make_cases(names: Iterable[str], folder: Path) -> list[Case]:
    """Export every cell and network; return the files. Those of an earlier run that lie in
    ``folder`` are taken as they are.
    """
    for name in names:
        own = folder / name.replace(" ", "-")
        if not (own / DONE).exists():
            shutil.rmtree(own, ignore_errors=True)
            for column, path in _exported(name, own / "exported").items():
                written(name, column, path, own / column.replace(" ", "-"), _feeds(path, column))
            (own / DONE).touch()
    return [
        read_case(path.parent)
        for name in names
        for path in sorted((folder / name.replace(" ", "-")).glob("*/case.json"))
    ]


def read_case(folder: Path) -> Case:
    """Return the case that lies in ``folder``."""
    about = json.loads((folder / "case.json").read_text())
    return Case(about["cell"], about["column"], folder, tuple(about["needs"]))


def network(cell: str) -> LanguageModel:
    """Return the untrained model of a cell, two layers, or of a row of ``STACKS``: no bias zero,
    and gains and rectified layers small enough that what one step rounds does not grow over the
    next ones.
    """
    torch.manual_seed(0)
    size = len(CHARACTERS)
    shape = STACKS.get(cell, {"cell": cell})
    model = LanguageModel(LanguageConfig(vocabulary=size, embedding=WIDTH, hidden=WIDTH, **shape))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
            if name.endswith("norm.weight"):
                parameter.mul_(0.3)
            elif cell == "rnn_relu" and "weight_hh" in name:
                parameter.mul_(0.9 / torch.linalg.matrix_norm(parameter, 2))
    return model.eval()


def _exported(name: str, out: Path) -> dict[str, Path]:
    """Return column → file; there is none where export refuses it."""
    paths = {}
    for column, wishes in _wishes(name).items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                bundle = _bundle(name, out / column, wishes)
        except EdgernnError as error:
            print(f"{name} {column}: not written: {error}", flush=True)
            continue
        for artifact in bundle.manifest.artifacts:
            own = "generate" if artifact.graph == "generate" else column
            paths[own] = bundle.path(artifact.path)
    return paths


def _wishes(name: str) -> dict[str, dict[str, Any]]:
    """Return column → what export is asked for."""
    if name in (*NETWORKS, *DESCRIBED):
        return {"float32": {}}
    asked: dict[str, dict[str, Any]] = {
        precision: {"precision": precision} for precision in ("float32", "float16", "int8", "int4")
    }
    asked["float32"]["in_graph"] = True
    portable = replace(_ANY_LOSS, operators=Operators(portable=True))
    for precision in ("float32", "float16", "int8"):
        column = f"portable {precision}".removesuffix(" float32")
        asked[column] = {"precision": precision, "options": portable}
    return asked


def _bundle(name: str, out: Path, wishes: dict[str, Any]) -> Bundle:
    """Export a cell's language model, or a network, to ONNX alone."""
    if name in NETWORKS:
        return CASES[name].export(out, "onnx", "float32", steps=8)
    if name in DESCRIBED:
        made = described_checkpoint(name=DESCRIBED[name])
        return export_bundle(made, out, to=["onnx"], precision="float32", steps=8)
    tokenizer = Tokenizer.build([CHARACTERS], "char")
    held_out = {"tokens": np.random.default_rng(0).integers(0, len(CHARACTERS), 2000)}
    made = Checkpoint(network(name), tokenizer, {}, held_out)
    asked: dict[str, Any] = {"options": _ANY_LOSS, **wishes}
    return export_bundle(made, out, to=["onnx"], steps=8, release=True, **asked)


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
    needs = tuple(sorted(needs_of(path)))
    case = {
        "cell": cell,
        "column": column,
        "needs": needs,
        "calls": len(next(iter(feeds.values()))),
        "inputs": [i.name for i in model.graph.input],
        "feeds": [_about(name, value[0]) for name, value in feeds.items()],
        "states": [{"name": i.name, "dtype": _dtype(i), "shape": _shape(i, sizes)} for i in states],
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
    return Case(cell, column, folder, needs)


def _about(name: str, value: np.ndarray) -> dict[str, Any]:
    return {"name": name, "dtype": str(value.dtype), "shape": list(value.shape)}


def _dtype(tensor: Any) -> str:
    return _DTYPES[tensor.type.tensor_type.elem_type]


def _shape(tensor: Any, sizes: dict[str, int]) -> list[int]:
    return [sizes.get(d.dim_param, d.dim_value) for d in tensor.type.tensor_type.shape.dim]


def _feeds(path: Path, column: str) -> dict[str, np.ndarray]:
    """Return what goes in beside the states, ``[calls, …]``."""
    generator = np.random.default_rng(1)
    if column != "generate":
        graph = onnx.load(path).graph
        after = {output.name for output in graph.output}
        fresh = {i.name: i for i in graph.input if f"{i.name}_next" not in after}
        shapes = {name: (STEPS, *_shape(i, {"batch": 1, "time": 1})) for name, i in fresh.items()}
        return {
            name: generator.integers(0, len(CHARACTERS), shape)
            if _dtype(fresh[name]) == "int64"
            else generator.normal(size=shape).astype(np.float32)
            for name, shape in shapes.items()
        }
    return {
        "prompt": generator.integers(0, len(CHARACTERS), (1, PROMPT)),
        "length": np.array([WRITTEN]),
        "temperature": np.array([0.8]),
        "top_k": np.array([20]),
        "top_p": np.array([1.0]),
        "uniforms": generator.random((1, WRITTEN)),
        "stop": np.array([[-1]]),  # the last token: some runtimes drop an input that is empty
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
        i.name: np.zeros(_shape(i, sizes), _dtype(i))
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
