"""Writing ONNX graphs node by node: names, constants, loops and choices, and other graphs copied
in.

A ``Scope`` is one graph, or the body of one loop or branch, while it grows. Every name is new in
the whole model, since a body may not reuse a name of the graph around it. Constants and weights
stand in the outermost graph, once each: however often a graph is copied in, onnxruntime reads its
weights from one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError

Operand = str | np.ndarray  # the name of a value, or a constant


@dataclass(frozen=True)
class Carried:
    """A value that a loop hands from one pass to the next; ``shape`` has None, or a name, where a
    size may change.
    """

    first: Operand
    dtype: str
    shape: Sequence[int | str | None]


@dataclass(frozen=True)
class Pass:
    """What one pass of a loop makes: whether to go on, what it hands to the next, and what is
    collected of each pass.
    """

    go_on: str
    carried: Sequence[str]
    collected: Sequence[str] = ()


class Scope:
    """Nodes of one graph or body, in the order in which they were added."""

    def __init__(self, around: Scope | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = (
            around.constants if around else {}
        )  # of the outermost graph
        self._counts: dict[str, int] = around._counts if around else {}

    def add(self, operator: str, *inputs: Operand, **attributes: Any) -> str:
        """Add a node of one output and return the output's name."""
        return self.add_many(operator, *inputs, outputs=1, **attributes)[0]

    def add_many(
        self, operator: str, *inputs: Operand, outputs: int, **attributes: Any
    ) -> list[str]:
        """Add a node and return the names of its outputs."""
        name = self._new(operator)
        made = [f"{name}.{place}" if outputs > 1 else name for place in range(outputs)]
        self.nodes.append(
            helper.make_node(
                operator, [self.value(operand) for operand in inputs], made, name=name, **attributes
            )
        )
        return made

    def rename(self, value: str, name: str) -> None:
        """Give ``value`` the name by which the outside knows it."""
        self.nodes.append(helper.make_node("Identity", [value], [name], f"{name}/Identity"))

    def value(self, operand: Operand) -> str:
        """Return the name of an operand; a constant is stored once, however often it is used."""
        if isinstance(operand, str):
            return operand
        if operand.dtype.kind == "i":
            operand = operand.astype(
                np.int64
            )  # ONNX's indices and sizes are; numpy's own integers may not be
        key = f"{operand.dtype}{list(operand.shape)}{operand.tobytes().hex()}"
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(operand, self._new("constant"))
        return self.constants[key].name

    def hoist(self, graph: onnx.GraphProto, prefix: str) -> dict[str, str]:
        """Store the weights of ``graph``; return the new name of each."""
        for tensor in graph.initializer:
            stored = onnx.TensorProto()
            stored.CopyFrom(tensor)
            stored.name = f"{prefix}/{tensor.name}"
            self.constants[stored.name] = stored
        return {tensor.name: f"{prefix}/{tensor.name}" for tensor in graph.initializer}

    def copy_in(
        self, graph: onnx.GraphProto, names: Mapping[str, str], *, wanted: Iterable[str]
    ) -> dict[str, str]:
        """Add the nodes of ``graph`` that make the outputs ``wanted``.

        Args:
            names: the name here of every input and weight of ``graph``.

        Returns:
            The name here of each wanted output.
        """
        wanted = list(wanted)
        nodes = _needed(graph, wanted)
        mark = self._new(graph.name or "graph")
        own = {name: f"{mark}/{name}" for node in nodes for name in node.output if name}
        self.nodes += [_renamed(node, {**names, **own}, mark) for node in nodes]
        return {name: {**names, **own}[name] for name in wanted}

    def loop(
        self,
        passes: str,
        body: Callable[[Scope, str, list[str]], Pass],
        *,
        carried: Sequence[Carried],
        collected: Sequence[str] = (),
    ) -> list[str]:
        """Add a loop of at most ``passes`` passes.

        Args:
            passes: name of an int64 scalar.
            body: writes one pass, given its scope, the number of the pass, and what the last one
                handed on.
            carried: what goes from pass to pass.
            collected: the dtype of each value that is collected, one after the other along a new
                first axis.

        Returns:
            What the last pass handed on, then what was collected.
        """
        inner = Scope(self)
        number, before = inner._new("number"), inner._new("go_on")
        given = [inner._new("carried") for _ in carried]
        made = body(inner, number, given)
        dtypes = ["bool", *(c.dtype for c in carried), *collected]
        shapes = [(), *(c.shape for c in carried), *(None for _ in collected)]
        outputs = inner._own([made.go_on, *made.carried, *made.collected])
        graph = helper.make_graph(
            inner.nodes,
            inner._new("body"),
            [
                declared(number, "int64", ()),
                declared(before, "bool", ()),
                *(declared(name, c.dtype, c.shape) for name, c in zip(given, carried, strict=True)),
            ],
            [declared(*output) for output in zip(outputs, dtypes, shapes, strict=True)],
        )
        firsts = [c.first for c in carried]
        return self.add_many(
            "Loop",
            passes,
            np.array(True),
            *firsts,
            outputs=len(carried) + len(collected),
            body=graph,
        )

    def choose(
        self,
        condition: str,
        then: Callable[[Scope], Sequence[str]],
        otherwise: Callable[[Scope], Sequence[str]],
        *,
        dtypes: Sequence[str],
    ) -> list[str]:
        """Add a choice: only one of two branches is run, and both make values of ``dtypes``."""
        branches = {}
        for name, write in (("then_branch", then), ("else_branch", otherwise)):
            inner = Scope(self)
            outputs = inner._own(write(inner))
            values = [declared(*output, None) for output in zip(outputs, dtypes, strict=True)]
            branches[name] = helper.make_graph(inner.nodes, inner._new(name), [], values)
        return self.add_many("If", condition, outputs=len(dtypes), **branches)

    def model(
        self, name: str, *, inputs: Sequence[FileTensor], outputs: Sequence[FileTensor]
    ) -> onnx.GraphProto:
        """Return the outermost graph; the values must already have the outputs' names."""
        values = [
            [declared(t.name, t.dtype or "", t.shape) for t in tensors]
            for tensors in (inputs, outputs)
        ]
        read = {name for node in self.nodes for name in _read(node)}
        stored = [tensor for tensor in self.constants.values() if tensor.name in read]
        return helper.make_graph(self.nodes, name, values[0], values[1], initializer=stored)

    def _new(self, kind: str) -> str:
        self._counts[kind] = self._counts.get(kind, -1) + 1
        return f"{kind}_{self._counts[kind]}"

    def _own(self, values: Sequence[str]) -> list[str]:
        """Return ``values`` as names that a body can give out: each made inside, none given out
        twice.
        """
        inside = {name for node in self.nodes for name in node.output}
        own: list[str] = []
        for value in values:
            own.append(
                value if value in inside and value not in own else self.add("Identity", value)
            )
        return own


def declared(
    name: str, dtype: str, shape: Sequence[int | str | None] | None
) -> onnx.ValueInfoProto:
    """Describe a value: its dtype by numpy's name, and its shape, None for any."""
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
    )


def joined_opsets(*models: onnx.ModelProto) -> list[onnx.OperatorSetIdProto]:
    """Return the operator sets that all of ``models`` use; raise ContractError where they use one
    in two versions.
    """
    versions: dict[str, int] = {}
    for opset in (opset for model in models for opset in model.opset_import):
        if versions.setdefault(opset.domain, opset.version) != opset.version:
            domain = opset.domain or "onnx"
            raise ContractError(
                f"the graphs use versions {versions[opset.domain]} and {opset.version} of the "
                f"operators of {domain}, expected "
                "one; export them together"
            )
    return [helper.make_opsetid(domain, version) for domain, version in versions.items()]


def _needed(graph: onnx.GraphProto, wanted: Iterable[str]) -> list[onnx.NodeProto]:
    """Return the nodes that ``wanted`` depends on, in the graph's order."""
    alive, kept = set(wanted), list[onnx.NodeProto]()
    for node in reversed(graph.node):
        if alive & set(node.output):
            alive |= set(_read(node))
            kept.append(node)
    return kept[::-1]


def _read(node: onnx.NodeProto) -> list[str]:
    """Return every name that a node reads, those in its bodies included."""
    return [
        *node.input,
        *(name for graph in _bodies(node) for inner in graph.node for name in _read(inner)),
    ]


def _bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [
        attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH
    ]


def _renamed(node: onnx.NodeProto, names: Mapping[str, str], mark: str) -> onnx.NodeProto:
    """Return a copy of ``node`` with its values renamed; what its bodies make gets a mark of its
    own.
    """
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    copied.name = f"{mark}/{node.name or node.output[0]}"
    for values in (copied.input, copied.output):
        values[:] = [names.get(name, name) for name in values]
    for graph in _bodies(copied):
        own = [value.name for value in (*graph.input, *graph.initializer)]
        own += [name for inner in graph.node for name in inner.output if name]
        inside = {**names, **{name: f"{mark}/{name}" for name in own}}
        for value in (*graph.input, *graph.initializer, *graph.output):
            value.name = inside[value.name]
        inner_nodes = [_renamed(inner, inside, mark) for inner in graph.node]
        del graph.node[:], graph.value_info[:]
        graph.node.extend(inner_nodes)
    return copied
