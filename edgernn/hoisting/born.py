"""First values that a network makes inside its first call, where it is given none: learned ones.

The first call of a run and a later one do the same, but that the first one makes what the later one
is given. Laid over each other from their results back, they show what stands for each state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as tree

from edgernn.errors import ContractError
from edgernn.hoisting.call import Call, Started
from edgernn.hoisting.capture import Capture, capture
from edgernn.hoisting.nodes import operands, operator_of, run


def born(
    call: Call, inputs: Sequence[Tensor], state: Sequence[Tensor], started: Started
) -> list[Tensor] | None:
    """Return the value that the first call makes for each state; None where the calls differ.

    Args:
        call: with its state held.
        inputs: an example.
        state: values of the right shapes, kept where the first call makes none.
        started: what a run begins with.

    Raises:
        ContractError: a first value is made of the first input.
    """
    count = len(inputs)
    later = capture(lambda *given: call(given[:count], given[count:]), [*inputs, *state], call.net)
    first = capture(lambda *given: call.outputs_alone(given, started), inputs, call.net)
    results = later.results[: len(later.results) - len(state)]
    if len(results) != len(first.results):
        return None
    laid = _Laid(later, first, len(inputs))
    if not all(laid.over(a, b) for a, b in zip(results, first.results, strict=True)):
        return None
    found = list(state)
    for at, node in laid.bound.items():
        found[at] = _value(first.graph_module, node).expand_as(state[at]).clone()
    return found


def _value(module: fx.GraphModule, node: fx.Node) -> Any:
    if node.op == "get_attr":
        return getattr(module, operator_of(node))
    if node.op == "placeholder":
        raise ContractError(
            "the first state is made of the first input; make it in a method of its own and name "
            "that with --start"
        )
    return run(node, lambda operand: _value(module, operand))


class _Laid:
    def __init__(self, later: Capture, first: Capture, inputs: int) -> None:
        self.later, self.first = later.graph_module, first.graph_module
        self.states = {node: at for at, node in enumerate(later.placeholders[inputs:])}
        self.pairs: dict[fx.Node, Any] = {}
        self.bound: dict[int, fx.Node] = {}

    def over(self, later: Any, first: Any) -> bool:
        """Lay one node over another; False where they do not do the same."""
        if not isinstance(later, fx.Node) or not isinstance(first, fx.Node):
            return type(later) is type(first) and bool(later == first)
        if later in self.pairs:
            return self.pairs[later] is first
        self.pairs[later] = first
        if later in self.states:
            self.bound[self.states[later]] = first
            return True
        if later.op != first.op or later.op == "placeholder":
            return later.op == first.op
        if later.op == "get_attr":
            one, other = (
                getattr(self.later, str(later.target)),
                getattr(self.first, str(first.target)),
            )
            return one.shape == other.shape and torch.equal(one, other)
        mine, spec = tree.tree_flatten((operands(later), later.kwargs))
        others, other_spec = tree.tree_flatten((operands(first), first.kwargs))
        alike = operator_of(later) == operator_of(first) and spec == other_spec
        return alike and all(map(self.over, mine, others))
