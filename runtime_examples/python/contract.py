"""What the contract of a manifest means: which tensor is which, and what must hold between them.

Nothing is found by the name of a tensor. *Ids* are step's fresh input of integers that are
``below`` the size of an axis, *scores* the output whose last axis is that one, *attention* another
output over an axis that a context has and ``encode`` chooses, or over regions.
"""

from __future__ import annotations

import math
from typing import Any

from shapes import expect

BATCH, TIME, LAYERS, REGIONS = "batch", "time", "layers", "regions"
DTYPES = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
}  # as safetensors calls them → as the contract does
MOST_ELEMENTS = 1 << 28  # of one tensor

Contract = dict[str, Any]
Tensor = dict[str, Any]


def graph_of(contract: Contract, name: str) -> dict[str, Any] | None:
    """Return the graph ``step`` or ``encode``, or None."""
    return next((graph for graph in contract["graphs"] if graph["name"] == name), None)


def of_role(tensors: list[Tensor], role: str) -> list[Tensor]:
    """Return the tensors of a role: ``input``, ``context``, ``state`` or ``output``."""
    return [tensor for tensor in tensors if tensor["role"] == role]


def ids_of(contract: Contract) -> Tensor | None:
    """Return the input that takes token ids, or None."""
    fresh = of_role(graph_of(contract, "step")["inputs"], "input")
    return next((t for t in fresh if t["below"] and "int" in t["dtype"]), None)


def scores_of(contract: Contract) -> Tensor | None:
    """Return the output that rates every id, or None."""
    ids, outputs = ids_of(contract), of_role(graph_of(contract, "step")["outputs"], "output")
    return next((t for t in outputs if ids and t["axes"][-1:] == [ids["below"]]), None)


def attention_of(contract: Contract) -> Tensor | None:
    """Return the output that says where in its contexts a model looked, or None."""
    step, scores = graph_of(contract, "step"), scores_of(contract)
    axes = {axis for tensor in of_role(step["inputs"], "context") for axis in tensor["axes"]}
    looked = {axis for axis in axes if axis == REGIONS or axis not in contract["sizes"]}
    looked -= {BATCH, TIME}
    others = [tensor for tensor in of_role(step["outputs"], "output") if tensor != scores]
    return next((tensor for tensor in others if looked & set(tensor["axes"])), None)


def check_contract(contract: Contract) -> None:
    """Raise ``BundleError`` where a graph lacks what another, or the next step, takes from it."""
    graphs = {graph["name"]: graph for graph in contract["graphs"]}
    good = "step" in graphs and len(graphs) == len(contract["graphs"])
    expect(good, "contract.graphs", [*graphs], "step, once")
    for name, graph in graphs.items():
        for side in ("inputs", "outputs"):
            names = [tensor["name"] for tensor in graph[side]]
            good = len(set(names)) == len(names) > 0
            expect(good, f"contract.{name}.{side}", names, "names, each once")
    _check_sizes(contract)
    _check_states(contract)
    _check_contexts(contract)
    for tensor in (*graphs["step"]["inputs"], *graphs.get("encode", {"inputs": []})["inputs"]):
        good = tensor["below"] is None or tensor["below"] in contract["sizes"]
        expect(good, f"below of {tensor['name']}", tensor["below"], "an axis that has a size")


def _check_sizes(contract: Contract) -> None:
    """Every axis has a size, but ``batch``, ``time`` and those that ``encode`` chooses."""
    sizes, encode = contract["sizes"], graph_of(contract, "encode")
    step = graph_of(contract, "step")
    chosen = [*(encode["inputs"] if encode else []), *of_role(step["inputs"], "context")]
    known = {BATCH, TIME, *sizes, *(axis for tensor in chosen for axis in tensor["axes"])}
    for graph in contract["graphs"]:
        for tensor in (*graph["inputs"], *graph["outputs"]):
            name, axes = tensor["name"], tensor["axes"]
            lacking = sorted({*axes} - known)
            expect(not lacking, f"contract.sizes, for {name},", lacking, "a size of every axis")
            for axis in (BATCH, TIME):
                expect(axes.count(axis) < 2, f"the axes of {name}", axes, f"{axis} once at most")
            elements = math.prod(sizes.get(axis, 1) for axis in axes)
            most = f"at most {MOST_ELEMENTS} elements"
            expect(elements <= MOST_ELEMENTS, f"the size of {name}", elements, most)


def _check_states(contract: Contract) -> None:
    """Every state comes back as it went in, and has a first value."""
    step, first = graph_of(contract, "step"), contract["initial_state"]
    after = {tensor["name"]: tensor for tensor in of_role(step["outputs"], "state")}
    states = {tensor["name"]: tensor for tensor in of_role(step["inputs"], "state")}
    for name, tensor in states.items():
        expect(TIME not in tensor["axes"], f"the axes of {name}", tensor["axes"], "none of time")
        _check_same(after.get(f"{name}_next"), tensor, f"contract.step.outputs.{name}_next")
    expect(len(after) == len(states), "the states that step gives", [*after], "those that it takes")
    unknown = [name for name in first if name not in states]
    expect(not unknown, "contract.initial_state", unknown, "names of states")


def _check_contexts(contract: Contract) -> None:
    """``encode`` gives every context, and the first states that are its."""
    step, encode = graph_of(contract, "step"), graph_of(contract, "encode")
    made = {tensor["name"]: tensor for tensor in (encode["outputs"] if encode else [])}
    for tensor in step["inputs"]:
        of_encode = contract["initial_state"].get(tensor["name"]) == "encode"
        if tensor["role"] == "context" or (tensor["role"] == "state" and of_encode):
            name = tensor["name"]
            _check_same(made.get(name), tensor, f"contract.encode.outputs.{name}")


def _check_same(found: Tensor | None, wanted: Tensor, path: str) -> None:
    good = found is not None and all(found[key] == wanted[key] for key in ("axes", "dtype"))
    expect(good, path, found, f"{wanted['dtype']} with the axes {wanted['axes']}")
