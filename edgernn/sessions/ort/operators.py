"""What a runtime must know to run an ONNX file: its operators, and what of their attributes and of
its tensors some runtimes lack.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgernn.sessions.ort.graph import OnnxModel, OnnxNode
from edgernn.sessions.ort.reading import read_model

OPEN_SIZES = "open sizes"
_USUAL = {
    "LSTM": ["sigmoid", "tanh", "tanh"],
    "GRU": ["sigmoid", "tanh"],
    "RNN": ["tanh"],
}
_OPTIONAL_INPUTS = {4: "lengths", 7: "peepholes"}
_NUMBERS = ("clip", "input_forget", "layout", "linear_before_reset")


def needs_of(path: Path) -> frozenset[str]:
    """Return what the file at ``path`` needs; raise ContractError where it is no ONNX model."""
    return needs_of_model(read_model(path))


def needs_of_model(model: OnnxModel) -> frozenset[str]:
    """Return what a model needs, as ``LSTM``, ``RNN with Relu``, ``com.microsoft:MatMulNBits with 4
    bits``, ``float16 constants`` or ``open sizes``.
    """
    found = {need for node in model.graph.all_nodes() for need in _of_node(node)}
    constants = (t for graph in model.graph.all_graphs() for t in graph.constants.values())
    found |= {f"{t.dtype} constants" for t in constants if t.dtype in {"float16", "bfloat16"}}
    shapes = (*model.graph.inputs.values(), *model.graph.outputs.values())
    if any(not isinstance(dim, int) for shape in shapes for dim in shape):
        found.add(OPEN_SIZES)
    return frozenset(found)


def _of_node(node: OnnxNode) -> Iterator[str]:
    own = node.domain in {"", "ai.onnx"}
    name = node.op if own else f"{node.domain}:{node.op}"
    yield name
    if own and node.op in _USUAL:
        yield from (f"{name} with {what}" for what in _beyond_defaults(node))
    elif isinstance(bits := node.attributes.get("bits"), int):
        yield f"{name} with {bits} bits"


def _beyond_defaults(node: OnnxNode) -> Iterator[str]:
    """Tell what a recurrent operator asks for beyond its defaults."""
    direction = node.attributes.get("direction") or "forward"
    functions = _texts(node.attributes.get("activations"))
    usual = _USUAL[node.op] * (2 if direction == "bidirectional" else 1)
    if functions and [name.lower() for name in functions] != usual:
        yield from sorted(set(functions))
    if direction != "forward":
        yield f"direction {direction}"
    yield from (name for name in _NUMBERS if node.attributes.get(name))
    for at, what in _OPTIONAL_INPUTS.items():
        if len(node.inputs) > at and node.inputs[at]:
            yield what


def _texts(value: Any) -> list[str]:
    """Return an attribute of several texts, of which a single one is read as itself."""
    return [] if value is None else [value] if isinstance(value, str) else list(value)
