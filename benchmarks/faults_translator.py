"""Faults of translators: what is read in the wrong direction, padding that is taken for text, and
attention that sees what is not there.
"""

from __future__ import annotations

import numpy as np
import onnx
from _faulty import Fault
from _faulty_onnx import Change, on_onnx, recurrent, set_weight, weight
from onnx import helper, numpy_helper

_ENCODE, _STEP = "onnx/encode.onnx", "onnx/step.onnx"
_FAR = r"worst \w+ .* at call \d+ \(tolerance 0\.0001\)"


def _directions_swapped(model: onnx.ModelProto) -> None:
    forward, backward = recurrent(model)
    for ahead, behind in zip(list(forward.input)[1:4], list(backward.input)[1:4], strict=True):
        values = [weight(model, name) for name in (ahead, behind)]
        set_weight(model, ahead, values[1])
        set_weight(model, behind, values[0])


def _padding_read(model: onnx.ModelProto) -> None:
    """Let the ids be compared with one that there is not, so that every place counts as text."""
    (node,) = [node for node in model.graph.node if node.op_type == "Equal"]
    made = numpy_helper.from_array(np.array(-1, np.int64), "no_id")
    model.graph.initializer.append(made)
    node.input[1] = "no_id"


def _gates_exchanged(model: onnx.ModelProto) -> None:
    """Exchange the first two gates of the backward direction."""
    for name in list(recurrent(model)[-1].input)[1:3]:
        value = weight(model, name)
        blocks = np.split(value, 4, axis=1)
        set_weight(model, name, np.concatenate([blocks[1], blocks[0], *blocks[2:]], axis=1))


def _mask_ignored(model: onnx.ModelProto) -> None:
    """Let attention see every place."""
    nodes = list(model.graph.node)
    for node in nodes:
        node.input[:] = ["all" if name == "source_mask" else name for name in node.input]
    all_of_it = [
        helper.make_node("Mul", ["source_mask", "zero"], ["none"]),
        helper.make_node("Add", ["none", "one"], ["all"]),
    ]
    for name, value in (("zero", 0), ("one", 1)):
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    del model.graph.node[:]
    model.graph.node.extend([*all_of_it, *nodes])


def _fault(name: str, imitates: str, change: Change, artifact: str) -> Fault:
    return Fault(
        name,
        imitates,
        on_onnx(change, artifact),
        ("rollout", "golden"),
        _FAR,
        honest="translator",
        artifact=artifact,
    )


FAULTS = (
    _fault("directions of the encoder swapped", "bound by position", _directions_swapped, _ENCODE),
    _fault("padding read as text", "no length of a row", _padding_read, _ENCODE),
    _fault("two gates of one direction exchanged", "another order", _gates_exchanged, _ENCODE),
    _fault("the mask of attention ignored", "an input left unread", _mask_ignored, _STEP),
)
