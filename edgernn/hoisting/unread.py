"""State that nothing reads: what a network keeps to be looked at, as its last attention."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, fx

from edgernn.hoisting.call import Call, Held, Started
from edgernn.hoisting.capture import Capture, capture


def unread(call: Call, inputs: Sequence[Tensor], started: Started) -> list[Held]:
    """Return the places in the network whose value no output of any later call hangs on."""
    if all(held.place is None for held in call.held):
        return []
    state = call.state_after([inputs] * call.settled_calls, started)
    count = len(inputs)
    graph = capture(lambda *given: call(given[:count], given[count:]), [*inputs, *state], call.net)
    read = read_states(graph, len(state))
    found, at = [], 0
    for held in call.held:
        if held.place is not None and not any(read[at : at + len(held.names)]):
            found.append(held)
        at += len(held.names)
    return found


def read_states(graph: Capture, count: int) -> list[bool]:
    """Return of each of ``count`` states, the last inputs and results of a captured call, whether
    outputs hang on it, at once or through other states.
    """
    outputs = graph.results[: len(graph.results) - count]
    nexts = graph.results[len(outputs) :]
    places = {node: at for at, node in enumerate(graph.placeholders[-count:] if count else [])}
    seen: set[fx.Node] = set()
    pending = list(outputs)
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        pending += node.all_input_nodes
        if node in places:
            pending.append(nexts[places[node]])
    return [node in seen for node in places]
