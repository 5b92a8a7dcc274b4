"""Convolutions with constant weights: as layers with names, and as products with a matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgernn.hoisting.layers import add_layer, cleaned
from edgernn.hoisting.nodes import operands, operator_of
from edgernn.models.windows import windows


def convolve_by_products(module: fx.GraphModule) -> None:
    """Put a product of windows with a matrix in the place of every convolution that was named, in
    place.
    """
    layers = dict(module.named_modules())
    for node in list(module.graph.nodes):
        layer = layers.get(str(operator_of(node))) if node.op == "call_module" else None
        if isinstance(layer, Convolution):
            with module.graph.inserting_before(node):
                node.replace_all_uses_with(_by_products(module, node, layer))
    cleaned(module)


class Convolution(nn.Module):
    """A convolution with constant weights, of one spatial axis or two.

    Args:
        operator: that does it.
        weight: ``[O, C / groups, *K]``.
        bias: ``[O]``, or None.
        rest: stride, padding, dilation and groups, as the operator takes them.
    """

    def __init__(
        self, operator: Callable[..., Tensor], weight: Tensor, bias: Tensor | None, rest: Any
    ) -> None:
        super().__init__()
        self.operator, self.rest = operator, rest
        self.weight = nn.Parameter(weight.detach(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return self.operator(x, self.weight, self.bias, *self.rest)

    def edges(self) -> list[tuple[int, int]]:
        """Return how many zeros are put before and behind each spatial axis."""
        _, padding, dilation, _ = self.rest
        kernel = self.weight.shape[2:]
        if not isinstance(padding, str):
            return [(n, n) for n in as_many(padding, len(kernel))]
        added = [d * (k - 1) for d, k in zip(as_many(dilation, len(kernel)), kernel, strict=True)]
        return [(n // 2, n - n // 2) if padding == "same" else (0, 0) for n in added]


def _by_products(module: fx.GraphModule, node: fx.Node, layer: Convolution) -> fx.Node:
    spatial, name = layer.weight.dim() - 2, str(operator_of(node))
    stride, _, dilation, groups = layer.rest
    sizes = [as_many(stride, spatial), as_many(dilation, spatial)]
    kernel, call = list(layer.weight.shape[2:]), module.graph.call_function
    rows = call(windows, (operands(node)[0], kernel, *sizes, layer.edges()))  # [B, *N, C · K]
    if groups == len(layer.weight) > 1 and layer.weight.shape[1] == 1:  # no product
        for held in ("weight", "bias"):
            if (tensor := getattr(layer, held)) is not None:
                module.register_buffer(f"{name}_{held}".replace("/", "_"), tensor.detach())
        read = [
            None if getattr(layer, held) is None else f"{name}_{held}".replace("/", "_")
            for held in ("weight", "bias")
        ]
        given = [None if one is None else module.graph.get_attr(one) for one in read]
        return call(_channels_first, ([call(_weighted, (rows, *given))], spatial))
    module.delete_submodule(name)  # whose name its products take
    parts = []
    for group, own in enumerate(layer.weight.flatten(1).chunk(groups)):
        x = rows if groups == 1 else call(_part, (rows, group, groups))
        bias = None if layer.bias is None else layer.bias.chunk(groups)[group]
        parts.append(add_layer(module, x, own, bias, name))
    return call(_channels_first, (parts, spatial))


def as_many(value: Any, count: int) -> list[int]:
    """Return ``count`` numbers of a list, or of one that stands for all."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return values * count if len(values) == 1 else values


def _part(rows: Tensor, group: int, groups: int) -> Tensor:
    size = int(rows.shape[-1]) // groups
    return rows[..., group * size : (group + 1) * size]


def _weighted(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    own: Tensor = rows.unflatten(-1, (len(weight), -1))  # [B, *N, C, K]
    made = (own * weight.flatten(1)).sum(-1)  # [B, *N, C]
    return made if bias is None else made + bias


def _channels_first(parts: Sequence[Tensor], dims: int) -> Tensor:
    joined = parts[0] if len(parts) == 1 else torch.cat(list(parts), -1)  # [B, *N, O]
    last = joined.dim() - 1
    rows = last - dims
    return joined.permute(*range(rows), last, *range(rows, last))  # [B, O, *N]
