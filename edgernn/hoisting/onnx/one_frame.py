"""A foreign step that takes one frame a call: what is written out in products and gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from edgernn.contract import TIME
from edgernn.hoisting.onnx.axes import Axis, Declared
from edgernn.hoisting.onnx.editing import open_inputs, sweep
from edgernn.hoisting.onnx.flow import RECURRENT, Flow
from edgernn.hoisting.onnx.folding import fold
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.sizes import Sizes, feeds, probes_of
from edgernn.hoisting.onnx.step import ForeignStep


def one_frame(step: ForeignStep) -> onnx.ModelProto:
    """Return the step with one frame along time, and everything folded that then is known."""
    contract, made = step.contract, onnx.ModelProto()
    made.CopyFrom(step.model_proto)
    sizes = {**contract.sizes, TIME: 1}
    declared = {
        spec.name: Declared(
            spec.name,
            spec.dtype,
            tuple(Axis(axis, sizes.get(axis)) for axis in spec.axes),
            None if spec.below is None else Axis(spec.below, sizes[spec.below]),
        )
        for spec in contract.step.inputs
    }
    open_inputs(made, declared)
    probes = probes_of(declared)
    fold(made, declared, probes)
    _state_shapes(made, declared, probes)
    return made


def _state_shapes(
    model_proto: onnx.ModelProto, declared: Mapping[str, Declared], probes: Sequence[Sizes]
) -> None:
    """Write down the shapes that follow the batch alone, in place: a reshape leaves that size open,
    and a recurrent operator that begins at zeros is not given them.
    """
    graph, flow = model_proto.graph, Flow(model_proto.graph)
    shapes = {n.input[1] for n in graph.node if n.op_type == "Reshape" and _is_made(flow, n, 1)}
    starts = {
        node.input[place]
        for node in graph.node
        if node.op_type in RECURRENT
        for place in (5, 6)
        if _is_made(flow, node, place)
    }
    if not shapes | starts:
        return
    run = Runner(model_proto, shapes | starts)
    found = [run(feeds(declared, sizes)) for sizes in probes]
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] in shapes:
            _write_shape(graph, node, [made[node.input[1]] for made in found])
        for place in (5, 6) if node.op_type in RECURRENT else ():
            given = node.input[place] if len(node.input) > place else ""
            if given in starts and not any(made[given].any() for made in found):
                node.input[place] = ""
    sweep(graph)


def _is_made(flow: Flow, node: onnx.NodeProto, place: int) -> bool:
    """Whether an input is made of sizes alone."""
    name = node.input[place] if len(node.input) > place else ""
    return bool(name) and name not in flow.from_data and name not in flow.constants


def _write_shape(graph: onnx.GraphProto, node: onnx.NodeProto, found: list[np.ndarray]) -> None:
    same = np.all([made == found[0] for made in found], axis=0)
    if np.count_nonzero(~same) == 1 and not (found[0] == -1).any():
        name = f"{node.output[0]}_shape"
        graph.initializer.append(numpy_helper.from_array(np.where(same, found[0], -1), name))
        node.input[1] = name
