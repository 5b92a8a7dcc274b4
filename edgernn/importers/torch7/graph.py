"""A graph of nngraph (``nn.gModule``): its linear layers, and what each of them is fed.

Every node has a table ``data`` with its module and ``mapindex``, the tables of the nodes that it
takes, in their order (nngraph ``node.lua``, ``gmodule.lua``). An input of the graph is a node that
selects one of what goes in. The order of the nodes is a topological one and says nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgernn.containers.content import Stub
from edgernn.errors import CheckpointError
from edgernn.importers.grammar.blocks import Matrix

Data = Mapping[Any, Any]  # of a node
_PASSING = ("nn.Dropout", "nn.Identity", "OneHot")  # give on what they take, or its one-hot vector
_MOST_NODES = 100_000


def nodes_of(module: Stub) -> list[Data]:
    """Return the data of each node that computes something.

    Raises:
        CheckpointError: it is no graph, or one that was cut.
    """
    nodes = listed(module.attributes.get("forwardnodes"))
    found = [node.attributes.get("data") for node in nodes if isinstance(node, Stub)]
    if not found or not all(isinstance(data, dict) for data in found):
        raise CheckpointError("its graph has no nodes; give the checkpoint as training wrote it")
    return [data for data in found if data and isinstance(data.get("module"), Stub)]


def listed(table: Any) -> list[Any]:
    """Return the values of a Lua table with the keys 1, 2, …."""
    if not isinstance(table, dict):
        return []
    found: list[Any] = []
    while len(found) + 1 in table and len(found) < _MOST_NODES:
        found.append(table[len(found) + 1])
    return found


def module_of(data: Data) -> Stub | None:
    """Return the module of a node, None where it only splits or selects."""
    found = data.get("module")
    return found if isinstance(found, Stub) else None


def taken(data: Data) -> list[Data]:
    """Return the data of the nodes that a node takes, in order."""
    return [each for each in listed(data.get("mapindex")) if isinstance(each, dict)]


def source_of(data: Data) -> Data | int:
    """Return what a node is fed: the number of the graph's input, from 1, or the data of the node
    that computed it.
    """
    for _ in range(_MOST_NODES):
        before = taken(data)
        if len(before) != 1:
            return data
        (data,) = before
        module = module_of(data)
        if module is None and isinstance(data.get("selectindex"), int) and _is_input(data):
            return int(data["selectindex"])
        if module is not None and module.name not in _PASSING:
            return data
        if module is None and not taken(data):
            return 1  # the graph's only input
    raise CheckpointError("its graph runs in a circle; the file is damaged")


def _is_input(data: Data) -> bool:
    """Whether a node selects a part of what goes into the graph, not of what a node computed."""
    split = taken(data)
    return len(split) == 1 and all(module_of(each) is None for each in taken(split[0]))


def sums(nodes: list[Data]) -> Iterator[tuple[Data, Data, Data]]:
    """Yield each node that adds what two linear layers give, and the two."""
    for data in nodes:
        module, terms = module_of(data), taken(data)
        if module is not None and module.name == "nn.CAddTable" and len(terms) == 2:
            one, other = terms
            if is_linear(one) and is_linear(other):
                yield data, one, other


def is_linear(data: Data) -> bool:
    """Whether a node is a linear layer."""
    module = module_of(data)
    return module is not None and module.name == "nn.Linear"


def matrix_of(module: Stub, name: str) -> Matrix:
    """Return the matrix of a linear layer or a table of vectors.

    Raises:
        CheckpointError: it has none.
    """
    weight, bias = module.attributes.get("weight"), module.attributes.get("bias")
    if weight is None or getattr(weight, "ndim", 0) != 2:
        raise CheckpointError(f"{name} has no weight of two axes; the file is damaged")
    return Matrix(name, weight, bias, "linear" if module.name == "nn.Linear" else "embedding")
