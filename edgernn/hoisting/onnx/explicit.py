"""Every state of a foreign graph as an input and an output of it: paired ones as they are, hidden
ones given in and taken out, past frames joined in front of an input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgernn.contract import BATCH, LAYERS, TIME
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.axes import Axis, Declared
from edgernn.hoisting.onnx.editing import rename
from edgernn.hoisting.onnx.hidden import Hidden
from edgernn.hoisting.onnx.interface import Pair
from edgernn.hoisting.onnx.names import axis_name, tensor_name, unlike
from edgernn.wording import did_you_mean


@dataclass(frozen=True, eq=False)
class State:
    """One state: the tensors of the graph that are its value before and after a call.

    ``declared`` has its axes; ``first`` its first value for one row, None for zeros; ``where`` says
    where it was found, ``own`` whether the file takes it, ``inner`` whether the graph was changed
    for it.
    """

    declared: Declared
    after: str
    first: np.ndarray | None
    where: str
    own: bool = False
    inner: bool = False

    @property
    def before(self) -> str:
        """The input of the graph."""
        return self.declared.name


def of_pairs(pairs: Iterable[Pair], declared: Mapping[str, Declared]) -> list[State]:
    """Return the states that are in the interface of the file."""
    return [
        State(
            with_layers(declared[pair.input]),
            pair.output,
            None,
            f"{pair.input} goes on as {pair.output}, by {pair.how}",
            own=True,
        )
        for pair in pairs
    ]


def with_layers(own: Declared) -> Declared:
    """Name the first axis of a state ``[L, B, H]``."""
    first, batch = own.axes[:1], own.place(BATCH)
    if len(own.axes) == 3 and batch == 1 and first[0].name.endswith("_0"):
        axes = (Axis(LAYERS, first[0].size, ours=True), *own.axes[1:])
        return Declared(own.name, own.dtype, axes, own.below)
    return own


def give_hidden(
    graph: onnx.GraphProto, hidden: Iterable[Hidden], taken: Iterable[str], *, batched: bool
) -> list[State]:
    """Give each hidden state in and out of ``graph``, in place."""
    made, names = list[State](), {*taken}
    nodes, more = list(graph.node), list[tuple[int, onnx.NodeProto, bool]]()
    for state in hidden:
        node, name = nodes[state.node], unlike(state.name, names)
        names.add(name)
        while len(node.input) <= state.begin:
            node.input.append("")
        while len(node.output) <= state.end:
            node.output.append("")
        if not node.output[state.end]:
            node.output[state.end] = unlike(f"{name}_left", names)
        given, left = name, node.output[state.end]
        if batched and state.rows > 1:  # [B, R, H] outside, [1, B · R, H] inside
            given, left = f"{name}_inside", f"{name}_outside"
            more.append((state.node, _shaped(graph, name, given, [1, -1, state.width]), True))
            shape = [-1, state.rows, state.width]
            more.append((state.node, _shaped(graph, node.output[state.end], left, shape), False))
        node.input[state.begin] = given
        own = Declared(name, state.dtype, _hidden_axes(name, state, batched=batched))
        first = state.first
        if first is not None:
            first = first.reshape(own.shape({BATCH: 1}))
        made.append(State(own, left, first, state.where, inner=True))
    _insert(graph, more)
    return made


def _hidden_axes(name: str, state: Hidden, *, batched: bool) -> tuple[Axis, ...]:
    width = Axis(axis_name(f"{name}_width"), state.width, ours=True)
    rows = Axis(axis_name(f"{name}_rows"), state.rows, ours=True)
    layers, batch = Axis(LAYERS, 1, ours=True), Axis(BATCH)
    if not batched:
        return (layers, rows, width)
    return (batch, rows, width) if state.rows > 1 else (layers, batch, width)


def _shaped(graph: onnx.GraphProto, given: str, made: str, shape: list[int]) -> onnx.NodeProto:
    constant = f"{made}_shape"
    graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), constant))
    return helper.make_node("Reshape", [given, constant], [made], name=made)


def _insert(graph: onnx.GraphProto, more: list[tuple[int, onnx.NodeProto, bool]]) -> None:
    """Put nodes before or behind those at their places."""
    nodes = []
    for place, node in enumerate(list(graph.node)):
        nodes += [new for at, new, before in more if at == place and before]
        nodes.append(node)
        nodes += [new for at, new, before in more if at == place and not before]
    del graph.node[:]
    graph.node.extend(nodes)


def left_context(
    declared: Mapping[str, Declared], told: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """Return input → the axis along which past frames stand in front of it, and how many.

    Raises:
        UsageError: there is no such input, or no frame is asked for.
    """
    found = {}
    for name, count in told.items():
        if name not in declared:
            raise UsageError(
                f"--left-context names {name!r}, which is no input of the file; it has "
                f"{', '.join(declared)}{did_you_mean(name, declared)}"
            )
        if count < 1 or not declared[name].axes:
            raise UsageError(f"--left-context {name}={count}: expected 1 or more frames of an axis")
        along = declared[name].place(TIME)
        found[name] = (len(declared[name].axes) - 1 if along is None else along, count)
    return found


def widened(
    declared: Mapping[str, Declared], context: Mapping[str, tuple[int, int]], *, told: Iterable[str]
) -> tuple[dict[str, Declared], dict[str, Declared]]:
    """Return what a caller gives, and what the graph reads: the same with past frames in front.

    An input of ``told`` was said as the caller gives it; of another one the file says what the
    graph reads.
    """
    outer, inner, told = dict(declared), dict(declared), {*told}
    for name, (along, count) in context.items():
        axis = declared[name].axes[along]
        if axis.size is None:
            inner[name] = _resized(declared[name], along, Axis(axis.name, None, count, axis.each))
            continue
        other = axis.size + count if name in told else axis.size - count
        if other < 1:
            raise UsageError(
                f"--left-context {name}={count}: the file reads {axis.size} frames of {name}, so "
                f"{axis.size - 1} or fewer can be of the past"
            )
        changed = _resized(declared[name], along, Axis(axis.name, other))
        (inner if name in told else outer)[name] = changed
    return outer, inner


def outer_of(inner: Declared, outer: Declared, along: int) -> Declared:
    """Return what a caller gives of an input whose axes were settled with frames in front."""
    own = inner.axes[along]
    axis = Axis(own.name, own.size, 0, own.each) if own.more else outer.axes[along]
    return _resized(inner, along, axis)


def _resized(own: Declared, along: int, axis: Axis) -> Declared:
    axes = (*own.axes[:along], axis, *own.axes[along + 1 :])
    return Declared(own.name, own.dtype, axes, own.below)


def give_context(
    graph: onnx.GraphProto,
    outer: Mapping[str, Declared],
    context: Mapping[str, tuple[int, int]],
    taken: Iterable[str],
) -> list[State]:
    """Join the frames before in front of inputs, in place, and take the last ones out as state."""
    made, names, nodes = list[State](), {*taken}, list[onnx.NodeProto]()
    for name, (along, count) in context.items():
        own = outer[name]
        past = unlike(tensor_name(f"{name}_past"), names)
        whole, after = f"{past}_and_{name}", f"{past}_after"
        names |= {past, whole, after}
        for node in graph.node:
            rename(node, {name: whole})
        nodes.append(helper.make_node("Concat", [past, name], [whole], name=whole, axis=along))
        cut = {"starts": [-count], "ends": [np.iinfo(np.int64).max], "axes": [along]}
        places = [f"{after}_{word}" for word in cut]
        for (_, values), constant in zip(cut.items(), places, strict=True):
            graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), constant))
        nodes.append(helper.make_node("Slice", [whole, *places], [after], name=after))
        axes = (
            *own.axes[:along],
            Axis(axis_name(f"{past}_frames"), count, ours=True),
            *own.axes[along + 1 :],
        )
        declared = Declared(past, own.dtype, axes, own.below)
        made.append(State(declared, after, None, f"the last {count} of {name}, as told"))
    _prepend(graph, nodes)
    return made


def _prepend(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    whole = [*nodes, *graph.node]
    del graph.node[:]
    graph.node.extend(whole)
