"""State that a network keeps in itself: attributes and buffers that a call changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree

_TORCHS_OWN = {
    "_parameters",
    "_buffers",
    "_modules",
    "_flat_weights",
    "_flat_weights_names",
    "_all_weights",
    "_flat_weight_refs",
    "training",
}


@dataclass(frozen=True)
class Place:
    """An attribute of a module of the network."""

    module: str
    attribute: str

    @property
    def path(self) -> str:
        """Return it as it is written in the network: ``self.encoder.hidden``."""
        return ".".join(part for part in ("self", self.module, self.attribute) if part)

    def read(self, net: nn.Module) -> Any:
        """Return what the network holds there."""
        return getattr(net.get_submodule(self.module), self.attribute)

    def write(self, net: nn.Module, value: Any) -> None:
        """Put ``value`` there, a buffer as a buffer."""
        module = net.get_submodule(self.module)
        held = module._buffers if self.attribute in module._buffers else module.__dict__
        held[self.attribute] = value


Snapshot = dict[Place, Any]


def snapshot(net: nn.Module) -> Snapshot:
    """Return a copy of every attribute and buffer that could be state."""
    return {place: _copied(value) for place, value in _held(net)}


def restore(net: nn.Module, kept: Snapshot) -> None:
    """Put the attributes back as they were; ones that came since are taken away."""
    for place, value in kept.items():
        place.write(net, _copied(value))
    for place, _ in list(_held(net)):
        if place not in kept:
            vars(net.get_submodule(place.module)).pop(place.attribute, None)


def changed(before: Snapshot, after: Snapshot) -> list[Place]:
    """Return the places whose values are not what they were."""
    return [place for place, value in after.items() if not _same(before.get(place), value)]


def _held(net: nn.Module) -> Iterator[tuple[Place, Any]]:
    for name, module in net.named_modules():
        for attribute, value in module._buffers.items():
            yield Place(name, attribute), value
        for attribute, value in vars(module).items():
            if attribute in _TORCHS_OWN or attribute.endswith(("_hooks", "_hooks_with_kwargs")):
                continue
            if _could_be_state(value):
                yield Place(name, attribute), value


def _could_be_state(value: Any) -> bool:
    leaves = tree.tree_leaves(value)
    return all(
        leaf is None
        or (isinstance(leaf, (Tensor, int, float)) and not isinstance(leaf, nn.Parameter))
        for leaf in leaves
    )


def _copied(value: Any) -> Any:
    return tree.tree_map(lambda v: v.detach().clone() if isinstance(v, Tensor) else v, value)


def _same(one: Any, other: Any) -> bool:
    ones, spec = tree.tree_flatten(one)
    others, other_spec = tree.tree_flatten(other)
    return spec == other_spec and all(
        (a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b))
        if isinstance(a, Tensor) and isinstance(b, Tensor)
        else type(a) is type(b) and a == b
        for a, b in zip(ones, others, strict=True)
    )
