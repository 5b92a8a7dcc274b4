"""Layers put into a step graph, under names made from those of the network's weights."""

from __future__ import annotations

import re

from torch import Tensor, fx, nn

from edgernn.hoisting.nodes import operator_of

_RECURRENT = re.compile(r"(.*?)_?weight_(ih|hh|hr)(?:_l(\d+))?$")
_ROLES = {"ih": "from_input", "hh": "from_hidden", "hr": "projection"}


def cleaned(module: fx.GraphModule) -> None:
    """Take out what nothing reads any more, in place."""
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.graph.lint()
    module.recompile()


def layer_name(attribute: str) -> str:
    """Return the name of the layer that a weight is of, by the attribute that holds it."""
    name = attribute.removeprefix("w_")
    found = _RECURRENT.match(name)
    if found is None:
        return name.removesuffix("_weight") or "weight"
    parts = (found[1], found[3], _ROLES[found[2]])
    return "/".join(part for part in parts if part)  # as the names of ONNX nodes have it


def add_layer(
    module: fx.GraphModule, x: fx.Node, weight: Tensor, bias: Tensor | None, of: fx.Node | str
) -> fx.Node:
    """Add the layer ``x W^T + b``, named ``of``, or after the weight that the node ``of``
    reads.
    """
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().expand(len(weight)).contiguous(), False)
    name = free_name(module, of if isinstance(of, str) else layer_name(str(operator_of(of))))
    module.add_submodule(name, layer)
    return module.graph.call_module(name, (x,))


def free_name(module: fx.GraphModule, base: str) -> str:
    """Return ``base``, or with a number where a layer has that name."""
    name, taken, number = base, {path for path, _ in module.named_modules()}, 1
    taken |= {path for path in vars(module) if not path.startswith("_")}
    while name in taken:
        name, number = f"{base}_{number}", number + 1
    return name
