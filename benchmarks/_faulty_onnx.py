"""Editing a saved ONNX graph: its weights, its wiring, and what flows through an input or an
output.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from _faulty import sign
from onnx import helper, numpy_helper

ONNX = "onnx/step.onnx"
Change = Callable[[onnx.ModelProto], None]


def on_onnx(change: Change, inner: str = ONNX) -> Callable[[Path], None]:
    """Turn a change of a graph into a change of a bundle folder; ``inner`` is the graph's file."""

    def apply(folder: Path) -> None:
        model = onnx.load(folder / inner)
        change(model)
        onnx.save(model, folder / inner)
        sign(folder, inner)

    return apply


def recurrent(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the recurrent operators, the lowest layer first."""
    return [node for node in model.graph.node if node.op_type in {"LSTM", "GRU", "RNN"}]


def weight(model: onnx.ModelProto, name: str) -> np.ndarray:
    """Return the initialiser ``name``."""
    return numpy_helper.to_array(_initializer(model, name)).copy()


def set_weight(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    """Overwrite the initialiser ``name``."""
    _initializer(model, name).CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))


def add_weight(model: onnx.ModelProto, name: str, value: np.ndarray) -> str:
    """Add an initialiser; return its name."""
    model.graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def reorder_gates(model: onnx.ModelProto, order: list[int]) -> None:
    """Reorder the gate blocks of W, R and both biases in every layer."""
    for node in recurrent(model):
        w, r, b = node.input[1:4]
        for name, halves in ((w, 1), (r, 1), (b, 2)):
            value = weight(model, name)
            parts = [np.split(half, len(order), axis=1) for half in np.split(value, halves, axis=1)]
            set_weight(
                model,
                name,
                np.concatenate([part[index] for part in parts for index in order], axis=1),
            )


def through_input(model: onnx.ModelProto, name: str, *chain: onnx.NodeProto) -> None:
    """Put ``chain`` between the graph's input ``name`` and all that read it; the chain makes
    ``NAME_used``.
    """
    for node in model.graph.node:
        node.input[:] = [f"{name}_used" if source == name else source for source in node.input]
    _insert_first(model, chain)


def through_output(model: onnx.ModelProto, name: str, *chain: onnx.NodeProto) -> None:
    """Put ``chain`` between what makes the graph's output ``name``, then called ``NAME_raw``, and
    the output.
    """
    rename(model, name, f"{name}_raw")
    model.graph.node.extend(chain)


def rename(model: onnx.ModelProto, old: str, new: str) -> None:
    """Rename a tensor inside the graph; its declared in- and outputs keep their names."""
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def node(op: str, inputs: list[str], output: str, **attributes: object) -> onnx.NodeProto:
    """Make one operator with one output."""
    return helper.make_node(op, inputs, [output], **attributes)


def cast(source: str, output: str, to: int) -> onnx.NodeProto:
    """Make a cast."""
    return node("Cast", [source], output, to=to)


def _insert_first(model: onnx.ModelProto, chain: tuple[onnx.NodeProto, ...]) -> None:
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*chain, *rest])


def _initializer(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)
