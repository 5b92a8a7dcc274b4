"""Products with weights as layers of their own: what integers are for.

Wherever a step face multiplies with a constant matrix, in whatever words, an ``nn.Linear`` takes
its place, named after the weight: ``gru.0.from_hidden`` is what layer 0 of ``self.gru`` makes of
the hidden state. Rounding finds every one of them so, and its table tells their names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgernn.hoisting.convolutions import Convolution
from edgernn.hoisting.layers import add_layer, cleaned, free_name, layer_name
from edgernn.hoisting.nodes import arguments, operands, operator_of

_aten = torch.ops.aten


def name_products(module: fx.GraphModule) -> None:
    """Put a layer in the place of every product of ``module`` with a constant matrix, in place."""
    for node in list(module.graph.nodes):
        if rewrite := _PRODUCTS.get(operator_of(node)):
            with module.graph.inserting_before(node):
                made = rewrite(module, node)
            if made is not None:
                node.replace_all_uses_with(made)
    cleaned(module)


def _constant(module: fx.GraphModule, node: Any) -> Tensor | None:
    """Return the weight that a node is, or None."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    found = getattr(module, str(operator_of(node)), None)
    return found if isinstance(found, Tensor) and found.is_floating_point() else None


def _matrix(module: fx.GraphModule, node: Any) -> Tensor | None:
    weight = _constant(module, node)
    return weight if weight is not None and weight.dim() == 2 else None


def _linear(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    told = arguments(node)
    weight, bias = _matrix(module, told["weight"]), _constant(module, told["bias"])
    if weight is None or (bias is None) != (told["bias"] is None):
        return None
    return add_layer(module, told["input"], weight, bias, told["weight"])


def _addmm(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    told = arguments(node)
    weight, bias = _matrix(module, told["mat2"]), _constant(module, told["self"])
    if weight is None or bias is None or bias.dim() > 1 or (told["beta"], told["alpha"]) != (1, 1):
        return None
    return add_layer(module, told["mat1"], weight.T, bias, told["mat2"])


def _product(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    left, right = operands(node)[:2]
    if (weight := _matrix(module, right)) is not None:
        return add_layer(module, left, weight.T, None, right)
    weight = _matrix(module, left)
    if weight is None or not isinstance(right, fx.Node):
        return None
    if operator_of(node) is _aten.mv.default:
        return add_layer(module, right, weight, None, left)
    rows = module.graph.call_function(_turned, (right,))  # [..., N, K]
    return module.graph.call_function(_turned, (add_layer(module, rows, weight, None, left),))


def _turned(x: Tensor) -> Tensor:
    return x.transpose(-1, -2) if x.dim() > 1 else x


def _einsum(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """Return the layer of a sum over one letter that a constant matrix and something else share."""
    equation, parts = operands(node)[0].replace(" ", ""), list(operands(node)[1])
    if len(parts) != 2 or "->" not in equation or "." in equation:
        return None
    (terms, made), at = equation.split("->"), int(_matrix(module, parts[1]) is not None)
    weight, other = _matrix(module, parts[at]), parts[1 - at]
    letters, own = terms.split(",")[1 - at], terms.split(",")[at]
    if weight is None or len({*own}) != 2 or len({*letters}) != len(letters):
        return None
    summed = [n for n in own if n in letters and n not in made]
    kept = [n for n in own if n not in letters and n in made]
    rest = letters.replace(summed[0], "") if summed else ""
    if not summed or not kept or {*made} != {*rest, *kept}:
        return None
    matrix = weight if own == kept[0] + summed[0] else weight.T
    x = module.graph.call_function(
        _reordered, (other, [letters.index(n) for n in rest + summed[0]])
    )
    product = add_layer(module, x, matrix, None, parts[at])
    order = [(rest + kept[0]).index(n) for n in made]
    return module.graph.call_function(_reordered, (product, order))


def _reordered(x: Tensor, order: Sequence[int]) -> Tensor:
    return x if list(order) == list(range(len(order))) else x.permute(*order)


def _embedding(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    told = arguments(node)
    table = _matrix(module, told["weight"])
    if table is None:
        return None
    layer = nn.Embedding.from_pretrained(table.detach())
    name = free_name(module, layer_name(str(operator_of(told["weight"]))))
    module.add_submodule(name, layer)
    return module.graph.call_module(name, (told["indices"],))


def _convolution(module: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    told = arguments(node)
    weight, bias = _constant(module, told["weight"]), _constant(module, told["bias"])
    if weight is None or (bias is None) != (told["bias"] is None):
        return None
    rest = [told[name] for name in ("stride", "padding", "dilation", "groups")]
    name = free_name(module, layer_name(str(operator_of(told["weight"]))))
    module.add_submodule(name, Convolution(operator_of(node), weight, bias, rest))
    return module.graph.call_module(name, (told["input"],))


_PRODUCTS: dict[Any, Callable[[fx.GraphModule, fx.Node], fx.Node | None]] = {
    _aten.linear.default: _linear,
    _aten.addmm.default: _addmm,
    _aten.mm.default: _product,
    _aten.matmul.default: _product,
    _aten.mv.default: _product,
    _aten.einsum.default: _einsum,
    _aten.embedding.default: _embedding,
}
_PRODUCTS |= {
    getattr(packet, overload): _convolution
    for packet in (_aten.conv1d, _aten.conv2d)
    for overload in packet.overloads()
}
