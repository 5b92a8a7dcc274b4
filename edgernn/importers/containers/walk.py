"""Walks over what a container holds: the modules in it, their tensors by name, their attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgernn.errors import DataError
from edgernn.importers.containers.content import Stub

_DEEPEST = 100
_MOST_BRANCHES = 100_000  # places of them: one branch in many places counts as often
_BRANCHES = (dict, list, tuple, Stub)
_PARTS = ("_parameters", "_buffers", "_modules")


def tensors(tree: Any) -> dict[str, np.ndarray]:
    """Return every array of ``tree`` by its dotted name, as ``state_dict`` would call it: of a
    module's stub its parameters, buffers and modules; of dicts, lists and tuples their keys and
    places.

    Raises:
        DataError: it is too deep or too large to be a network.
    """
    return {".".join(place): value for place, value in walk(tree) if isinstance(value, np.ndarray)}


def modules(tree: Any) -> Iterator[tuple[str, Stub]]:
    """Yield the stub of every module in ``tree`` by its dotted name; the outermost first."""
    for place, value in walk(tree):
        if isinstance(value, Stub) and is_module(value):
            yield ".".join(place), value


def is_module(stub: Stub) -> bool:
    """Whether it stands for a torch module."""
    return "_modules" in stub.attributes and "_parameters" in stub.attributes


def plain_attributes(stub: Stub) -> dict[str, Any]:
    """Return its attributes that are plain values."""
    plain = (bool, int, float, str, type(None))
    return {name: v for name, v in stub.attributes.items() if isinstance(v, plain)}


def walk(tree: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the place and the value of every branch and leaf, each branch once at every place
    that holds it but never inside itself.
    """
    count = 0
    pending: list[tuple[tuple[str, ...], Any, tuple[int, ...]]] = [((), tree, ())]
    while pending:
        place, value, above = pending.pop()
        if not isinstance(value, _BRANCHES):
            yield place, value
            continue
        count += 1
        if count > _MOST_BRANCHES or len(above) > _DEEPEST:
            raise DataError(
                "the file holds a tree that is too deep or too large to be a network; give the "
                "checkpoint itself"
            )
        yield place, value
        if id(value) in above:
            continue
        inner = [((*place, key), child, (*above, id(value))) for key, child in _children(value)]
        pending += reversed(inner)


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((_word(key), child) for key, child in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((str(index), child) for index, child in enumerate(value))
    elif isinstance(value, Stub) and is_module(value):
        for part in _PARTS:
            yield from _children(value.attributes.get(part))


def _word(key: Any) -> str:
    return key.name if isinstance(key, Stub) else str(key)
