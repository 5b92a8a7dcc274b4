"""Graphs without in-place operators: what was written into a tensor becomes a new tensor.

A view that was taken before or after a write is taken anew from what its tensor has become, and a
write through a view is a write into its tensor: the other places are kept around it. What a graph
gives back, and in what order, does not change.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from edgernn.errors import ContractError
from edgernn.hoisting.nodes import known, operands, operator_of
from edgernn.hoisting.places import line_of
from edgernn.hoisting.views import VIEWS, back_through

_aten = torch.ops.aten
_FILLS: dict[Any, int | float] = {
    _aten.new_zeros.default: 0.0,
    _aten.zeros_like.default: 0.0,
    _aten.new_ones.default: 1.0,
    _aten.ones_like.default: 1.0,
    _aten.new_full.default: 2,
    _aten.full_like.default: 1,
    _aten.new_empty.default: 0.0,
    _aten.empty_like.default: 0.0,
    _aten.empty.memory_format: 0.0,
}


@dataclass
class _Base:
    """A tensor of its own memory: what it has become, and how often it was written."""

    value: fx.Node
    writes: int = 0


@dataclass
class _Alias:
    """A tensor that is ``base`` seen through ``views``, as it was after ``writes`` writes."""

    base: _Base
    views: tuple[fx.Node, ...] = ()  # nodes of the old graph, the first one nearest to the base
    value: fx.Node | None = None
    writes: int = 0


@dataclass
class _Rewrite:
    graph: fx.Graph = field(default_factory=fx.Graph)
    aliases: dict[fx.Node, _Alias] = field(default_factory=dict)
    made: dict[str, _Base] = field(default_factory=dict)  # weight → its base
    viewed: dict[tuple[fx.Node, ...], fx.Node] = field(default_factory=dict)  # one view, one node

    def now(self, node: fx.Node) -> fx.Node:
        """Return the node of the new graph that is ``node`` of the old one at this point."""
        alias = self.aliases[node]
        if alias.value is None or alias.writes != alias.base.writes:
            value = alias.base.value
            for view in alias.views:
                value = self._view_again(view, value)
            alias.value, alias.writes = value, alias.base.writes
        return alias.value

    def _view_again(self, view: fx.Node, of: fx.Node) -> fx.Node:
        if (view, of) not in self.viewed:
            others = fx.map_arg(operands(view)[1:], self.now)
            made = self.call(view, operator_of(view), (of, *others), view.kwargs)
            self.viewed[view, of] = made
        return self.viewed[view, of]

    def call(
        self, like: fx.Node, target: Any, args: tuple[Any, ...], kwargs: Any = None
    ) -> fx.Node:
        """Add a call that stands for the old node ``like``."""
        made = self.graph.call_function(target, args, dict(kwargs or {}))
        made.meta = dict(like.meta)
        return made

    def copy(self, node: fx.Node) -> None:
        """Take over a node that writes nothing."""
        if node.op == "call_function" and (
            operator_of(node) in VIEWS or _is_part_of_view(node, self)
        ):
            of = self.aliases[operands(node)[0]]
            self.aliases[node] = _Alias(of.base, (*of.views, node))
            self.now(node)
            return
        if node.op == "get_attr" and operator_of(node) in self.made:
            self.aliases[node] = _Alias(self.made[operator_of(node)])
            return
        made = self._filled(node) or self._unflattened(node) or self.graph.node_copy(node, self.now)
        base = _Base(made)
        self.aliases[node] = _Alias(base)
        if node.op == "get_attr":
            self.made[str(operator_of(node))] = base

    def _filled(self, node: fx.Node) -> fx.Node | None:
        """Let ``x.new_zeros(2)`` and its like hang on no ``x``: only its kind was asked for."""
        fill = _FILLS.get(operator_of(node))
        if fill is None:
            return None
        seen = known(node)
        value = (
            operands(node)[fill] if isinstance(fill, int) else fill
        )  # ``new_full`` is told its own
        value = {torch.bool: bool, torch.float32: float}.get(seen.dtype, lambda v: v)(value)
        return self.call(
            node,
            _aten.full.default,
            (list(seen.shape), value),
            {"dtype": seen.dtype, "device": seen.device, "pin_memory": False},
        )

    def _unflattened(self, node: fx.Node) -> fx.Node | None:
        """Let ``x.unflatten(0, (2, 3))`` be the view that it is, with every size told."""
        if operator_of(node) is not _aten.unflatten.int:
            return None
        return self.call(
            node, _aten.reshape.default, (self.now(operands(node)[0]), list(known(node).shape))
        )

    def write(self, node: fx.Node) -> None:
        """Replace an operator that writes into its first argument."""
        into = operands(node)[0]
        assert isinstance(into, fx.Node)
        alias, value = self.aliases[into], self.written(node, into)
        for depth in range(len(alias.views) - 1, -1, -1):
            outer = alias.base.value
            for view in alias.views[:depth]:
                outer = self._view_again(view, outer)
            value = back_through(self.call, alias.views[depth], outer, value)
        alias.base.value = value
        alias.base.writes += 1
        self.aliases[node] = _Alias(alias.base, alias.views)

    def written(self, node: fx.Node, into: fx.Node) -> fx.Node:
        """Return the value that ``into`` has after ``node``."""
        name = operator_of(node)._schema.name.split("::")[1]
        args, seen = fx.map_arg(operands(node), self.now), known(into)
        if name == "copy_":
            value, source = args[1], known(operands(node)[1])
            if tuple(source.shape) != tuple(seen.shape):
                value = self.call(node, _aten.expand_as.default, (value, args[0]))
            if source.dtype != seen.dtype:
                value = self.call(node, _aten.to.dtype, (value, seen.dtype))
            assert isinstance(value, fx.Node)
            return value
        if name == "zero_":
            return self.call(node, _aten.zeros_like.default, (args[0],))
        if name == "fill_":
            return self.call(node, _aten.full_like.default, (args[0], args[1]))
        packet = getattr(_aten, name.removesuffix("_"), None)
        overload = operator_of(node)._overloadname
        if packet is None or overload not in packet.overloads() or not name.endswith("_"):
            raise ContractError(
                f"{line_of(node)} writes into a tensor with {name}, which has no form that does "
                "not; write it without the in-place operator"
            )
        made = self.call(node, getattr(packet, overload), args, node.kwargs)
        dtypes = [known(a).dtype for a in node.all_input_nodes]
        return (
            made if len(set(dtypes)) == 1 else self.call(node, _aten.to.dtype, (made, seen.dtype))
        )


def _is_part_of_view(node: fx.Node, rewrite: _Rewrite) -> bool:
    of = operands(node)[0] if operands(node) else None
    return (
        operator_of(node) is operator.getitem
        and isinstance(of, fx.Node)
        and of.target in VIEWS
        and bool(rewrite.aliases[of].views)
    )


def pure(graph_module: fx.GraphModule) -> fx.GraphModule:
    """Return the graph without in-place operators; dead nodes are left out.

    Raises:
        ContractError: a tensor is written in a way that cannot be followed; names the line.
    """
    rewrite = _Rewrite()
    for node in graph_module.graph.nodes:
        if node.op == "output":
            rewrite.graph.output(fx.map_arg(operands(node)[0], rewrite.now))
        elif node.op == "call_function" and _writes(node):
            rewrite.write(node)
        else:
            rewrite.copy(node)
    for node in reversed(list(rewrite.graph.nodes)):
        if node.op not in ("placeholder", "output") and not node.users:
            rewrite.graph.erase_node(node)
    rewrite.graph.lint()
    made = fx.GraphModule(dict(graph_module.named_buffers()), rewrite.graph)
    return made


def _writes(node: fx.Node) -> bool:
    schema = getattr(operator_of(node), "_schema", None)
    return schema is not None and any(
        argument.alias_info is not None and argument.alias_info.is_write
        for argument in schema.arguments[:1]
    )
