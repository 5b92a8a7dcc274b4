"""State that a network keeps in itself: attributes and buffers that a call changes.

A place is looked at as one value where everything in it could be state; else its parts are, a list
or a plain object being no more than a way to them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
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
_KINDS = (Tensor, np.ndarray, int, float, complex)
_CONTAINERS = (list, tuple, dict, deque)
_DEEPEST = 4  # of a path: self.memory.layers[0].h


@dataclass(frozen=True)
class Place:
    """An attribute of a module of the network, or a part of one."""

    module: str
    keys: tuple[Any, ...]

    @property
    def path(self) -> str:
        """Return it as it is written in the network: ``self.encoder.hidden``."""
        start = ".".join(part for part in ("self", self.module, self.keys[0]) if part)
        return start + "".join(
            f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
            for key in self.keys[1:]
        )

    @property
    def name(self) -> str:
        """Return it without what stands for the network, and for a compiled part of it."""
        return self.path.removeprefix("self.").replace("_orig_mod.", "")

    def read(self, net: nn.Module) -> Any:
        """Return what the network holds there; None where there is nothing."""
        value: Any = net.get_submodule(self.module)
        try:
            for key in self.keys:
                value = value[key] if isinstance(value, _CONTAINERS) else getattr(value, key)
        except (AttributeError, LookupError):
            return None
        return value

    def write(self, net: nn.Module, value: Any) -> None:
        """Put ``value`` there, a buffer as a buffer."""
        holder = Place(self.module, self.keys[:-1]).read(net)
        if isinstance(holder, nn.Module):
            own = holder._buffers if self.keys[-1] in holder._buffers else vars(holder)
            own[self.keys[-1]] = value
        elif isinstance(holder, _CONTAINERS):
            holder[self.keys[-1]] = value  # type: ignore[index]
        elif holder is not None:
            object.__setattr__(holder, self.keys[-1], value)


Snapshot = dict[Place, Any]


def held_by(net: nn.Module) -> Snapshot:
    """Return every attribute and buffer that could be state, as it is: nothing is copied."""
    return dict(_held(net))


def snapshot(net: nn.Module) -> Snapshot:
    """Return a copy of every attribute and buffer that could be state."""
    return {place: copied(value) for place, value in _held(net)}


def protect(net: nn.Module, kept: Snapshot) -> None:
    """Put copies in the places of ``kept``, so that calls change those."""
    for place, value in kept.items():
        place.write(net, copied(value))


def restore(net: nn.Module, kept: Snapshot) -> None:
    """Put the parts of objects and containers back as they were; what came since is taken away."""
    inner = {place: value for place, value in kept.items() if len(place.keys) > 1}
    for place, value in inner.items():
        place.write(net, value)
    for place, _ in list(_held(net)):
        if len(place.keys) > 1 and place not in kept:
            holder = Place(place.module, place.keys[:-1]).read(net)
            if isinstance(holder, dict):
                holder.pop(place.keys[-1], None)
            elif not isinstance(holder, _CONTAINERS):
                vars(holder).pop(place.keys[-1], None)


@dataclass(frozen=True)
class Own:
    """What each module of a network has, object by object, to be put back."""

    dicts: tuple[tuple[dict[str, Any], dict[str, Any]], ...]

    @classmethod
    def of(cls, net: nn.Module) -> Own:
        """Return what ``net`` has now."""
        parts = [d for m in net.modules() for d in (vars(m), m._buffers, m._parameters)]
        return cls(tuple((part, dict(part)) for part in parts))

    def put_back(self) -> None:
        """Let every attribute be the object that it was, and none be there that was not."""
        for current, kept in self.dicts:
            for name in [name for name in current if name not in kept]:
                del current[name]
            current.update(kept)


def changed(before: Snapshot, after: Snapshot) -> list[Place]:
    """Return the places whose values are not what they were."""
    return [place for place, value in after.items() if not same(before.get(place), value)]


def _held(net: nn.Module) -> Iterator[tuple[Place, Any]]:
    for name, module in net.named_modules():
        for attribute, value in module._buffers.items():
            yield Place(name, (attribute,)), value
        for attribute, value in vars(module).items():
            if attribute in _TORCHS_OWN or attribute.endswith(("_hooks", "_hooks_with_kwargs")):
                continue
            yield from _parts(name, (attribute,), value, {id(module)})


def _parts(
    module: str, keys: tuple[Any, ...], value: Any, around: set[int]
) -> Iterator[tuple[Place, Any]]:
    if could_be_state(value):
        yield Place(module, keys), value
        return
    if id(value) in around or len(keys) == _DEEPEST:
        return
    around = around | {id(value)}
    if isinstance(value, dict):
        parts = [(key, part) for key, part in value.items() if isinstance(key, (str, int))]
    elif isinstance(value, _CONTAINERS):
        parts = list(enumerate(value))
    elif _is_plain(value):
        parts = list(vars(value).items())
    else:
        return
    for key, part in parts:
        yield from _parts(module, (*keys, key), part, around)


def _is_plain(value: Any) -> bool:
    """Whether a value is an object of a class of the user's own, or of the standard library."""
    return (
        hasattr(value, "__dict__")
        and not isinstance(value, (nn.Module, Tensor, type))
        and not callable(value)
        and not type(value).__module__.startswith(("torch", "numpy"))
    )


def could_be_state(value: Any) -> bool:
    """Whether a value is made of tensors, numbers and None alone."""
    return all(
        leaf is None
        or (
            isinstance(leaf, (Tensor, int, float, complex, np.ndarray))
            and not isinstance(leaf, nn.Parameter)
        )
        for leaf in tree.tree_leaves(value)
    )


def copied(value: Any) -> Any:
    """Return a copy with memory of its own."""
    return tree.tree_map(_copy, value)


def _copy(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return leaf.detach().clone()
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def same(one: Any, other: Any) -> bool:
    """Whether two values have the same form and the same numbers."""
    ones, spec = tree.tree_flatten(one)
    others, other_spec = tree.tree_flatten(other)
    return spec == other_spec and all(map(_same, ones, others))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return bool(((a == b) | (a.isnan() & b.isnan())).all())
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)
