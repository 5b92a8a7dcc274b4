"""States that go into a foreign file and do not come out, and outputs that are a state and no more.

Which part of such an input each recurrent operator begins at is looked at where the graph runs;
what the operators leave is joined in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgernn.contract import BATCH, TIME
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.axes import Declared
from edgernn.hoisting.onnx.explicit import State, with_layers
from edgernn.hoisting.onnx.flow import RECURRENT, VIEWS, Flow, moved_inputs, shown
from edgernn.hoisting.onnx.names import unlike
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.sizes import Sizes, feeds

_PLACES = ((5, 1), (6, 2))  # initial state, last state


@dataclass(frozen=True)
class _Part:
    """A part of a state: the place of its operator, and of its last state among the outputs."""

    node: int
    end: int
    given: str


def give_unexposed(
    model_proto: onnx.ModelProto,
    declared: Mapping[str, Declared],
    probes: Sequence[Sizes],
    *,
    paired: Iterable[str],
) -> list[State]:
    """Take out of the graph, in place, every state that goes in and does not come out.

    Only where frames may come in any number: the file's own run over all of them is the proof.
    """
    if not any(own.place(TIME) is not None for own in declared.values()):
        return []
    flow, made = Flow(model_proto.graph), list[State]()
    for name, own in declared.items():
        if name in set(paired) or own.place(TIME) is not None:
            continue
        parts = list(_parts(flow, name))
        order = _order(model_proto, name, parts, declared, probes[-1]) if parts else None
        if order is not None:
            axis, places = order
            after = _join(model_proto.graph, own, [parts[place] for place in places], axis)
            nodes = model_proto.graph.node
            where = ", ".join(nodes[part.node].name or nodes[part.node].op_type for part in parts)
            words = f"{name} goes into {where} and does not come out of the file"
            made.append(State(with_layers(own), after, None, words, own=True, inner=True))
    return made


def _parts(flow: Flow, name: str) -> Iterable[_Part]:
    for at, node in enumerate(flow.graph.node):
        for begin, end in _PLACES if node.op_type in RECURRENT else ():
            given = node.input[begin] if len(node.input) > begin else ""
            if given and name in flow.moved_from(given) and flow.sources[given] == {name}:
                yield _Part(at, end, given)


def _order(
    model_proto: onnx.ModelProto,
    name: str,
    parts: Sequence[_Part],
    declared: Mapping[str, Declared],
    sizes: Sizes,
) -> tuple[int | None, list[int]] | None:
    """Return along which axis of the state the parts lie, None for the whole, and which part lies
    where; None where they are not all of it.
    """
    given = feeds(declared, sizes)
    whole = given[name]
    given[name] = np.arange(whole.size, dtype=whole.dtype).reshape(whole.shape)
    run = Runner(model_proto, [part.given for part in parts])(given)
    found = [run[part.given].ravel() for part in parts]
    if len(parts) == 1 and np.array_equal(found[0], given[name].ravel()):
        return None, [0]
    for axis, count in enumerate(whole.shape):
        if count != len(parts):
            continue
        rows = [np.take(given[name], at, axis).ravel() for at in range(count)]
        places = [[i for i, own in enumerate(found) if np.array_equal(own, row)] for row in rows]
        if all(len(own) == 1 for own in places):
            return axis, [own[0] for own in places]
    return None


def _join(graph: onnx.GraphProto, own: Declared, parts: Sequence[_Part], axis: int | None) -> str:
    """Join what the operators leave as the state goes in; return what holds it."""
    names = {n for node in graph.node for n in (*node.input, *node.output)}
    after = unlike(f"{own.name}_left", names)
    shape = [-1 if axis_.name == BATCH else axis_.size or 1 for axis_ in own.axes]
    if axis is not None:
        shape[axis] = 1
    constant = f"{after}_shape"
    graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), constant))
    pieces = []
    for part in parts:
        left = last_state(graph.node[part.node], part.end, names)
        names.add(left)
        pieces.append(after if axis is None else unlike(f"{left}_of_{own.name}", names))
        names.add(pieces[-1])
        graph.node.append(helper.make_node("Reshape", [left, constant], [pieces[-1]]))
    if axis is not None:
        graph.node.append(helper.make_node("Concat", pieces, [after], axis=axis, name=after))
    return after


def last_state(node: onnx.NodeProto, end: int, taken: Iterable[str]) -> str:
    """Return the last state of a recurrent operator, which is made an output of it."""
    while len(node.output) <= end:
        node.output.append("")
    if not node.output[end]:
        node.output[end] = unlike(f"{node.output[0]}_state_{end}", taken)
    return str(node.output[end])


def drop_copies_of_states(graph: onnx.GraphProto, states: Iterable[State]) -> list[str]:
    """Take outputs out, in place, that are parts of hidden states moved and no more, where another
    output is left to read; return them.
    """
    flow, afters = Flow(graph), {state.after for state in states}
    ends = {
        name
        for node in graph.node
        if node.op_type in RECURRENT
        for name in node.output[1:]
        if name and flow.moved_to(name) & afters
    }
    copies = [
        name
        for name in flow.outputs
        if name not in afters and (leaves := _leaves(flow, name)) and leaves <= ends
    ]
    left = [name for name in flow.outputs if name not in {*copies, *afters}]
    if not left:
        return []
    kept = [value for value in graph.output if value.name not in copies]
    del graph.output[:]
    graph.output.extend(kept)
    return copies


def _leaves(flow: Flow, name: str) -> set[str]:
    """Return what ``name`` is moved from, and nothing was moved into."""
    found, pending = set[str](), [name]
    while pending:
        at = pending.pop()
        node = flow.makers.get(at)
        if node is not None and node.op_type in VIEWS:
            pending += moved_inputs(node)
        elif at not in flow.constants:
            found.add(at)
    return found


def drop_full_lengths(
    model_proto: onnx.ModelProto, declared: Mapping[str, Declared], probes: Sequence[Sizes]
) -> None:
    """Take the lengths of sequences from recurrent operators, in place, where they are always those
    of the whole call.

    Raises:
        UsageError: they are an input, or made of one.
    """
    flow = Flow(model_proto.graph)
    recurrent = [node for node in model_proto.graph.node if node.op_type in RECURRENT]
    nodes = [node for node in recurrent if len(node.input) > 4 and node.input[4]]
    for node in nodes:
        if node.input[4] in flow.from_data:
            sources = ", ".join(sorted(flow.sources[node.input[4]]))
            raise UsageError(
                f"{shown(node)} takes the lengths of its sequences from {sources}, and a step has "
                "all its frames; export the network without lengths"
            )
    if not nodes:
        return
    wanted = [name for node in nodes for name in (node.input[0], node.input[4])]
    run = Runner(model_proto, wanted)
    runs = [run(feeds(declared, sizes)) for sizes in probes]
    held = {name: numpy_helper.to_array(tensor) for name, tensor in flow.constants.items()}
    for node in nodes:
        x, lengths = node.input[0], node.input[4]
        if all((made.get(lengths, held.get(lengths)) == made[x].shape[0]).all() for made in runs):
            node.input[4] = ""
