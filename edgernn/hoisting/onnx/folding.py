"""What is the same at every call becomes a constant, and the branch that hangs on it is taken.

A value that depends on sizes alone is looked at where the graph runs, at several sizes: one that is
the same at all of them is a constant. What is made so is proved with everything else against the
file itself, at other sizes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from edgernn.errors import UsageError
from edgernn.hoisting.onnx.axes import Declared
from edgernn.hoisting.onnx.editing import freeze, hoist_constants, sweep, take_branch
from edgernn.hoisting.onnx.flow import Flow, shown
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.sizes import Sizes, feeds

_MOST_BRANCHES = 200


def fold(
    model_proto: onnx.ModelProto,
    declared: Mapping[str, Declared],
    probes: tuple[Sizes, ...],
) -> None:
    """Fold constants and branches of the graph, in place.

    Raises:
        UsageError: a branch hangs on data or on a size, or a loop repeats; names it.
    """
    graph = model_proto.graph
    for _ in range(_MOST_BRANCHES):
        hoist_constants(graph)
        _freeze_known(model_proto, declared, probes)
        branch = next((node for node in graph.node if node.op_type == "If"), None)
        if branch is None:
            break
        known = Flow(graph).constants.get(branch.input[0])
        if known is None:
            raise UsageError(_hangs(branch, graph, declared))
        then = bool(onnx.numpy_helper.to_array(known).ravel()[0])
        take_branch(graph, branch, then=then)
    sweep(graph)
    loop = next((node for node in graph.node if node.op_type in {"Loop", "Scan", "If"}), None)
    if loop is not None:
        raise UsageError(
            f"{shown(loop)} repeats inside the file, and keeps its state there; export the network "
            "with recurrent layers or one step of it"
        )


def refuse_open_branches(graph: onnx.GraphProto, declared: Mapping[str, Declared]) -> None:
    """Raise UsageError where a branch hangs on a number that is given at every call."""
    scalars = {name for name, own in declared.items() if not own.axes}
    sources = Flow(graph).sources
    for node in graph.node:
        if node.op_type == "If" and sources.get(node.input[0], frozenset()) & scalars:
            raise UsageError(_hangs(node, graph, declared))


def _freeze_known(
    model_proto: onnx.ModelProto,
    declared: Mapping[str, Declared],
    probes: tuple[Sizes, ...],
) -> None:
    """Make constants of what depends on no data and is the same at every size."""
    flow = Flow(model_proto.graph)
    wanted = [
        name
        for node in model_proto.graph.node
        for name in node.output
        if name and name not in flow.from_data
    ]
    if not wanted:
        return
    run = Runner(model_proto, wanted)
    found = [run(feeds(declared, probe)) for probe in probes]
    known = {
        name: found[0][name]
        for name in wanted
        if isinstance(found[0][name], np.ndarray)
        and all(_same(found[0][name], other[name]) for other in found[1:])
    }
    freeze(model_proto.graph, known)


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.shape == right.shape and np.array_equal(
        left, right, equal_nan=left.dtype.kind == "f"
    )


def _hangs(branch: onnx.NodeProto, graph: onnx.GraphProto, declared: Mapping[str, Declared]) -> str:
    """Say on what a branch hangs, and what decides it."""
    sources = sorted(Flow(graph).sources.get(branch.input[0], frozenset()))
    scalars = [name for name in sources if name in declared and not declared[name].axes]
    if scalars:
        return (
            f"{shown(branch)} branches on the input {scalars[0]}; bind it, as --set "
            f"{scalars[0]}=16000"
        )
    if sources:
        return (
            f"{shown(branch)} branches on the values of {', '.join(sources)}, and a step may not "
            "branch on data or state; export the network without it"
        )
    return (
        f"{shown(branch)} branches on the size of an axis; fix it, as --inputs "
        '"x: float32[batch, frames=512]"'
    )
