"""Recurrent operators that begin anew at every call: the states that a foreign file hides.

A forward operator over time whose initial state is absent, or is the same at every call, gets one
as an input, and its last state becomes an output. One that goes over another axis is part of a
step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

from edgernn.contract import BATCH, TIME
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.axes import Declared
from edgernn.hoisting.onnx.flow import RECURRENT, Flow, attribute, shown
from edgernn.hoisting.onnx.names import node_path, unlike
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.sizes import Sizes, feeds

_PLACES = ((5, 1, "h"), (6, 2, "c"))  # initial state, last state, letter


@dataclass(frozen=True, eq=False)
class Hidden:
    """A state that a recurrent operator begins anew.

    Attributes:
        name: a name for it.
        node: the place of the operator in the graph.
        begin, end: the places of the initial and of the last state among its inputs and outputs.
        rows: how many rows of the operator belong to one row of the batch.
        width: of the state.
        dtype: of the state.
        first: its first value for one row, ``[1, rows, width]``; None for zeros.
        where: the operator, in words.
    """

    name: str
    node: int
    begin: int
    end: int
    rows: int
    width: int
    dtype: str
    first: np.ndarray | None
    where: str


def find_hidden(
    model_proto: onnx.ModelProto,
    declared: Mapping[str, Declared],
    probes: Sequence[Sizes],
    *,
    states: frozenset[str],
) -> tuple[list[Hidden], list[str]]:
    """Return the hidden states in the order of the operators, and in words which operators begin
    anew in a file that takes one fixed number of frames, which is left as it is.

    Args:
        model_proto: the folded graph.
        declared: its inputs.
        probes: sizes at which it runs.
        states: the inputs that are states already.

    Raises:
        UsageError: an operator goes backwards over time, or over the batch; or its first state
            comes from an input that is no state (names it).
    """
    graph, flow = model_proto.graph, Flow(model_proto.graph)
    nodes = [(at, node) for at, node in enumerate(graph.node) if node.op_type in RECURRENT]
    if not nodes:
        return [], []
    givens = {name for _, node in nodes for name in (*node.input[:1], *node.input[5:7]) if name}
    run = Runner(model_proto, [name for name in givens if name not in flow.constants])
    held = {n: numpy_helper.to_array(flow.constants[n]) for n in givens if n in flow.constants}
    runs = [{**held, **run(feeds(declared, sizes))} for sizes in probes]
    times = any(own.place(TIME) is not None for own in declared.values())
    found, restarts = list[Hidden](), list[str]()
    for at, node in nodes:
        lengths = [made[node.input[0]].shape[0] for made in runs]
        open_initial = [place for place in _PLACES if _begins_anew(flow, node, place[0])]
        if not times:
            forward = attribute(node, "direction", "forward") == "forward"
            restarts += [shown(node)] if open_initial and forward else []
            continue
        if len(set(lengths)) == 1:
            continue  # over an axis of a frame
        _refuse(node, lengths, probes)
        _refuse_given(flow, node, states)
        batches = [made[node.input[0]].shape[1] for made in runs]
        for place in open_initial:
            value = _first_value(flow, node, place[0], runs)
            dtype = runs[0][node.input[0]].dtype.name
            rows = _rows(node, batches, probes)
            found.append(_hidden(node, at, place, rows, value, dtype=dtype, before=found))
    return found, restarts


def _begins_anew(flow: Flow, node: onnx.NodeProto, place: int) -> bool:
    if place == 6 and node.op_type != "LSTM":
        return False
    given = node.input[place] if len(node.input) > place else ""
    return not given or given not in flow.from_data


def _refuse(node: onnx.NodeProto, lengths: list[int], probes: Sequence[Sizes]) -> None:
    direction = attribute(node, "direction", "forward")
    if direction != "forward":
        raise UsageError(
            f"{shown(node)} is {direction} over time: it needs the future, so there is no step; "
            "train it forward, or run the file over whole sequences"
        )
    if lengths == [sizes.get(BATCH) for sizes in probes]:
        raise UsageError(
            f"{shown(node)} goes along the axis that was said to be the batch; is the time axis "
            "the other one? Say so with --inputs"
        )


def _refuse_given(flow: Flow, node: onnx.NodeProto, states: frozenset[str]) -> None:
    """Raise UsageError where a first state is made of an input that is no state."""
    for place in (5, 6):
        given = node.input[place] if len(node.input) > place else ""
        sources = flow.sources.get(given, frozenset())
        if sources and not sources & states:
            raise UsageError(
                f"the initial state {given} of {shown(node)} comes from "
                f"{', '.join(sorted(sources))}, which goes on as no output; if it is a state, say "
                f'which with --state "{min(sources)}=OUT"'
            )


def _rows(node: onnx.NodeProto, batches: list[int], probes: Sequence[Sizes]) -> int:
    """Return how many rows of the operator belong to one row of the batch."""
    wanted = [sizes.get(BATCH, 1) for sizes in probes]
    rows = {found // size for found, size in zip(batches, wanted, strict=True)}
    whole = all(found % size == 0 for found, size in zip(batches, wanted, strict=True))
    if len(rows) == 1 and whole:
        return rows.pop()
    raise UsageError(
        f"{shown(node)} has {batches} rows where the batch has {wanted}: its "
        "state is of no fixed size a row"
    )


def _first_value(
    flow: Flow, node: onnx.NodeProto, place: int, runs: Sequence[Mapping[str, np.ndarray]]
) -> np.ndarray | None:
    """Return the first value as the smallest probe has it; None where it is zeros."""
    given = node.input[place] if len(node.input) > place else ""
    if not given:
        return None
    stored = flow.constants.get(given)
    value = runs[0][given] if stored is None else onnx.numpy_helper.to_array(stored)
    return np.asarray(value) if np.any(value) else None


def _hidden(
    node: onnx.NodeProto,
    at: int,
    place: tuple[int, int, str],
    rows: int,
    value: np.ndarray | None,
    *,
    dtype: str,
    before: Sequence[Hidden],
) -> Hidden:
    begin, end, letter = place
    name = unlike(f"{node_path(node.name, node.op_type)}_{letter}", [h.name for h in before])
    width = int(attribute(node, "hidden_size"))
    where = f"{shown(node)}, which begins anew"
    return Hidden(name, at, begin, end, rows, width, dtype, value, where)
