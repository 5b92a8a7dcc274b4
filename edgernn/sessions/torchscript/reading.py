"""The graphs of a loaded TorchScript file, read before any of them runs.

Everything that a call can reach is in the graph of a method, once what it calls is put in its
place; an operator that is not in the table of ``torchscript_operators`` refuses the file by its
name. A call that cannot be put in place is such an operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from edgernn.errors import ContractError
from edgernn.sessions.torchscript.operators import FIXED, MADE, PURE


def method_graphs(module: torch.jit.ScriptModule) -> Iterator[tuple[str, Any]]:
    """Yield the name and the graph of every method of ``module`` and of its parts, with all that
    they call in place.
    """
    for name, part in module.named_modules():
        inner: Any = part
        for method in inner._c._method_names():
            graph = inner._c._get_method(method).graph.copy()
            torch._C._jit_pass_inline(graph)
            yield f"{name}.{method}".lstrip("."), graph


def all_nodes(block: Any) -> Iterator[Any]:
    """Yield the nodes of a graph or block in order, each before those of its own blocks."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from all_nodes(inner)


def refuse_impure(module: torch.jit.ScriptModule, path: Path) -> None:
    """Raise ContractError where a method of ``module`` uses an operator that is not in the table;
    names it.
    """
    for method, graph in method_graphs(module):
        for node in all_nodes(graph):
            problem = _problem(node)
            if problem:
                raise ContractError(
                    f"{path} {problem} (in {method}); a TorchScript file may only compute on "
                    "tensors: do not use this file"
                )


def _problem(node: Any) -> str | None:
    kind = node.kind()
    if kind not in PURE:
        return f"uses the operator {kind}"
    return effect(node) if kind.startswith("aten::") else None


def effect(node: Any) -> str | None:
    """Say what a tensor operator does beside giving a result, by its arguments; None where it does
    nothing else.

    It may write into memory that the call did not make, or have an argument that is not what
    ``FIXED`` demands.
    """
    for argument, value in zip(schema_arguments(node), node.inputs(), strict=False):
        if (
            argument.alias_info is not None
            and argument.alias_info.is_write
            and origin(value).node().kind() not in MADE
        ):
            return f"writes into what it was given or keeps, with {node.kind()}"
        wanted = FIXED.get(argument.name)
        if wanted is not None and (constant := value.toIValue()) != wanted:
            return f"has {node.kind()} with {argument.name} = {constant}, expected {wanted}"
    return None


def schema_arguments(node: Any) -> list[Any]:
    """Return the arguments of an operator by torch's schema, in the order of its inputs."""
    arguments: list[Any] = torch._C.parse_schema(node.schema()).arguments
    return arguments


# Parts of the memory of what they are given, though torch's schemas do not say so.
_PARTS = ("aten::unsafe_chunk", "aten::unsafe_split", "prim::ListUnpack")


def origin(value: Any) -> Any:
    """Return the value whose memory ``value`` is a part of, by torch's schemas."""
    while True:
        node = value.node()
        if node.kind() in _PARTS:
            value = next(iter(node.inputs()))
            continue
        if not node.kind().startswith("aten::"):
            return value
        shared = [
            given
            for argument, given in zip(schema_arguments(node), node.inputs(), strict=False)
            if argument.alias_info is not None
        ]
        if not shared:
            return value
        value = shared[0]
