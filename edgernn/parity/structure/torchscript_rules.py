"""The structure of a TorchScript step or encode graph: every operator followed with batch and time
as unknowns.

The graph is ``forward`` with all that it calls in place. Branches, loops and attributes that are
set are refused by name; the table says of each tensor operator what it does to shapes, by the rules
of ``shape_rules``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from edgernn.contract.interface import Interface
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.onnx_rules import check_outputs, input_of
from edgernn.parity.structure.sizes import SizeError, Value, dim, known
from edgernn.parity.structure.torchscript_places import follow_places
from edgernn.parity.structure.torchscript_shapes import TABLE
from edgernn.sessions.torchscript.reading import all_nodes, effect, schema_arguments

REFUSED = {
    "prim::If": "branches",
    "prim::Loop": "repeats",
    "prim::SetAttr": "keeps something between calls",
    **dict.fromkeys(
        ("aten::bernoulli", "aten::multinomial", "aten::normal"), "draws random numbers"
    ),
    **dict.fromkeys(
        (
            "aten::rand",
            "aten::rand_like",
            "aten::randint",
            "aten::randn",
            "aten::randn_like",
            "aten::randperm",
        ),
        "draws random numbers",
    ),
    **dict.fromkeys(
        ("aten::empty", "aten::empty_like", "aten::new_empty"), "returns whatever lay in memory"
    ),
    **dict.fromkeys(
        ("aten::nonzero", "aten::unique", "aten::masked_select"),
        "has a result whose size depends on data",
    ),
}


def follow(module: torch.jit.ScriptModule, graph: Any, interface: Interface) -> int:
    """Follow every operator of ``graph``, the ``forward`` of ``module``; return how many there are.

    Raises as ``onnx_rules.follow``.
    """
    nodes = list(all_nodes(graph))
    for node in nodes:  # first, for a branch hides what is in it
        kind = node.kind()
        if kind in REFUSED:
            raise SizeError(f"{kind} {REFUSED[kind]}")
        if kind.startswith("aten::") and (problem := effect(node)):
            raise SizeError(f"forward {problem}: it draws random numbers, or keeps what it saw")
    values: dict[str, Any] = {}
    inputs = list(graph.inputs())
    values[inputs[0].debugName()] = module
    if len(inputs) - 1 != len(interface.inputs):
        raise SizeError(f"forward takes {len(inputs) - 1} inputs, expected {len(interface.inputs)}")
    for given, tensor in zip(inputs[1:], interface.inputs, strict=True):
        values[given.debugName()] = input_of(tensor, interface)
    for node in nodes:
        _follow(node, values)
    (result,) = (values[output.debugName()] for output in graph.outputs())
    made = result if isinstance(result, (list, tuple)) else [result]
    if len(made) != len(interface.outputs) or not all(isinstance(value, Value) for value in made):
        raise SizeError(
            f"forward returns {len(made)} values, expected {len(interface.outputs)} tensors"
        )
    check_outputs(
        {tensor.name: value for tensor, value in zip(interface.outputs, made, strict=True)},
        interface,
    )
    return len(nodes)


def _follow(node: Any, values: dict[str, Any]) -> None:
    kind = node.kind()
    given = [values[value.debugName()] for value in node.inputs()]
    outputs = [value.debugName() for value in node.outputs()]
    if kind == "prim::Constant":
        made = _constant(next(iter(node.outputs())).toIValue())
    elif kind == "prim::GetAttr":
        made = _constant(getattr(given[0], node.s("name")))
    elif kind in {"prim::ListConstruct", "prim::TupleConstruct"}:
        made = given
    elif kind in {"prim::ListUnpack", "prim::TupleUnpack"}:
        values.update(zip(outputs, given[0], strict=True))
        return
    elif kind in _PASSING:
        made = given[0]
    else:
        handler = TABLE.get(kind)
        if handler is None:
            raise rules.unknown(kind)
        arguments = {a.name: value for a, value in zip(schema_arguments(node), given, strict=False)}
        made = follow_places(kind, arguments, lambda: handler(arguments, kind))
    if len(outputs) == 1:
        values[outputs[0]] = made
    else:
        values.update(zip(outputs, made, strict=True))


_PASSING = frozenset(
    (
        "prim::NumToTensor",
        "aten::Int",
        "aten::ScalarImplicit",
        "aten::IntImplicit",
        "prim::unchecked_cast",
        "aten::detach",
    )
)


def _constant(content: Any) -> Any:
    """Return a tensor as what is known of it, anything else as it is."""
    if not isinstance(content, torch.Tensor):
        return content
    few = content.numel() == 1 and not content.ndim
    return known(np.array(content.item(), object)) if few else Value(tuple(map(dim, content.shape)))
