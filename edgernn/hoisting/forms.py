"""The forms of values that hold tensors: what they are made of, and a name for each part."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.utils import _pytree as tree

from edgernn.contract.spec import DType
from edgernn.errors import ContractError

_DEEPEST = 3


def tensors_of(value: Any) -> list[Tensor]:
    """Return the tensors that a value holds, in order."""
    return [leaf for leaf in tree.tree_leaves(value) if isinstance(leaf, Tensor)]


def tensor_of(leaf: Any) -> Tensor:
    """Return a number as a tensor."""
    return leaf if isinstance(leaf, Tensor) else torch.tensor(leaf)


def forms(value: Any) -> Any:
    """Return what two values have in common that differ in numbers alone."""
    leaves, spec = tree.tree_flatten(value)
    return spec, [(tuple(v.shape), v.dtype) if isinstance(v, Tensor) else type(v) for v in leaves]


def equal(one: Any, other: Any) -> bool:
    """Whether two values have one form and the same numbers."""
    pairs = zip(tree.tree_leaves(one), tree.tree_leaves(other), strict=False)
    return bool(forms(one) == forms(other)) and all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in pairs
    )


def check_dtypes(where: str, leaves: Sequence[Any]) -> None:
    """See that a contract has a word for each number that is state.

    Raises:
        ContractError: it is none, as text and None are, or it is complex.
    """
    for leaf in leaves:
        if not isinstance(leaf, (Tensor, bool, int, float, complex)):
            raise ContractError(
                f"{where} holds {'nothing' if leaf is None else 'a ' + type(leaf).__name__} in "
                "part, which cannot be state; keep tensors and numbers in it alone"
            )
        dtype = str(tensor_of(leaf).dtype).removeprefix("torch.")
        if dtype.startswith("complex"):
            raise ContractError(
                f"{where} is {dtype}, which no format carries as state; keep the real and the "
                "imaginary part apart, as torch.view_as_real gives them"
            )
        if dtype not in get_args(DType):
            raise ContractError(
                f"{where} is {dtype}, which no format carries as state; keep it as float32"
            )


def leaf_names(path: str, value: Any) -> tuple[str, ...]:
    """Return a name for each part of a value that is found at ``path``."""
    found = tree.tree_flatten_with_path(value)[0]
    words = [word(path + tree.keystr(keys)) for keys, _ in found]
    return tuple(f"state_{text}" if text[0].isdigit() else text for text in words)


def word(path: str, other: str = "state") -> str:
    """Return a path as one word; ``other`` where no letter of it can stand in one."""
    return re.sub(r"\W+", "_", path, flags=re.ASCII).strip("_") or other


def unique(names: Iterable[str], taken: set[str], ending: str) -> tuple[str, ...]:
    """Return names that differ from each other and from ``taken``, which they are put into."""
    made = []
    for name in names:
        free, count = name, 1
        while free in taken:
            free = f"{name}_{ending}" if count == 1 else f"{name}_{ending}_{count}"
            count += 1
        taken.add(free)
        made.append(free)
    return tuple(made)


def learn_dataclasses(values: Iterable[Any], net: nn.Module | None) -> None:
    """Let torch's trees go into the dataclasses in ``values``, and in a network's attributes."""
    pending = [(value, 0) for value in values]
    if net is not None:
        pending += [(value, 0) for module in net.modules() for value in vars(module).values()]
    while pending:
        value, depth = pending.pop()
        kind = type(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, (type, nn.Module)):
            if kind not in tree.SUPPORTED_NODES:
                _learn(kind)
            parts = [getattr(value, part.name) for part in dataclasses.fields(value)]
        elif isinstance(value, (list, tuple, dict)):
            parts = list(value.values()) if isinstance(value, dict) else list(value)
        else:
            continue
        if depth < _DEEPEST:
            pending += [(part, depth + 1) for part in parts]


def _learn(kind: type[Any]) -> None:
    names = [part.name for part in dataclasses.fields(kind)]

    def flatten(value: Any) -> tuple[list[Any], Any]:
        return [getattr(value, name) for name in names], names

    def flatten_with_keys(value: Any) -> tuple[list[tuple[Any, Any]], Any]:
        return [(tree.GetAttrKey(name), getattr(value, name)) for name in names], names

    def unflatten(parts: Iterable[Any], context: Any) -> Any:
        made = object.__new__(kind)
        for name, part in zip(names, parts, strict=True):
            object.__setattr__(made, name, part)
        return made

    tree.register_pytree_node(kind, flatten, unflatten, flatten_with_keys_fn=flatten_with_keys)
