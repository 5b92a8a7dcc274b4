"""A step graph in the operators that a format has."""

from __future__ import annotations

import torch
from torch import fx

from edgernn.errors import ContractError
from edgernn.hoisting.nodes import operator_of
from edgernn.hoisting.places import line_of
from edgernn.hoisting.rewrites import REWRITES
from edgernn.models.family import OperatorSet

# what torch's tracer does not write down, but what they are made of
_TAKEN_APART = frozenset(
    f"aten::{name}" for name in ("gru_cell", "lstm_cell", "rnn_relu_cell", "rnn_tanh_cell")
)


def lower(graph_module: fx.GraphModule, target: OperatorSet) -> fx.GraphModule:
    """Return a copy of a graph in which every operator that ``target`` lacks, or gets wrong, is
    written in others.

    Raises:
        ContractError: there are no others for one of them; names it, and where it is used.
    """
    graph = fx.Graph()
    values: dict[fx.Node, fx.Node] = {}
    graph.output(graph.graph_copy(graph_module.graph, values))
    for node in graph.nodes:
        operator = operator_of(node)
        if not isinstance(operator, torch._ops.OpOverload):
            continue
        kind = operator._schema.name
        known = target.has(kind) or kind in _TAKEN_APART
        if known and kind not in target.avoided:
            continue
        rewrite = REWRITES.get(kind.removeprefix("aten::"))
        if rewrite is None:
            raise ContractError(
                f"{line_of(node)} uses the operator {kind}, which {target.name} does not have and "
                "edgernn does not know how to write in others; write it with other operations of "
                "torch, or export to another format"
            )
        node.target = rewrite
    graph.lint()
    return fx.GraphModule(graph_module, graph).eval()
