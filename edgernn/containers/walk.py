"""Walks over what a container holds: the modules in it, their tensors by name, their attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgernn.containers.content import Content, Stub
from edgernn.errors import DataError

_DEEPEST = 100
_MOST_BRANCHES = 100_000  # places of them: one branch in many places counts as often
_LONGEST_WORD = 1000  # of a branch's name, which stands in the name of all that is in it
_BRANCHES = (dict, list, tuple, Stub)
_OF_LUA = ("nn.", "cudnn.")
_OF_TRAINING = ("torch.optim.",)  # whose objects hold the weights again, and their gradients' means
_PARTS = ("_parameters", "_buffers", "_modules")


def tensors(tree: Content | Any) -> dict[str, np.ndarray]:
    """Return every array of a tree, or of a file's content, by its dotted name, as ``state_dict``
    would call it: of a module's stub its parameters, buffers and modules; of other objects their
    attributes; of dicts, lists and tuples their keys and places.

    Raises:
        DataError: it is too deep or too large to be a network.
    """
    return {".".join(place): value for place, value in walk(tree) if isinstance(value, np.ndarray)}


def modules(tree: Content | Any) -> Iterator[tuple[str, Stub]]:
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


def walk(tree: Content | Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the place and the value of every branch and leaf, each branch once at every place
    that holds it but never inside itself; what an object holds that is no module, as a trainer's,
    at the first place alone.

    Raises:
        DataError: as ``tensors``; it names the file where its content was given.
    """
    source, count = "the file", 0
    if isinstance(tree, Content):
        source, tree = str(tree.path), tree.tree
    objects: set[int] = set()  # ids of those that are no modules, each of which is entered once
    levels: list[Iterator[tuple[str, Any]]] = [iter((("", tree),))]
    words: list[str] = []  # of the branches that are open, but the outermost
    above: list[int] = []  # their ids
    while levels:
        if (found := next(levels[-1], None)) is None:
            levels.pop()
            del above[-1:], words[-1:]
            continue
        word, value = found
        place = (*words, word) if above else ()
        yield place, value
        if not isinstance(value, _BRANCHES) or id(value) in above or id(value) in objects:
            continue
        if isinstance(value, Stub) and not is_module(value):
            objects.add(id(value))
        count += 1
        if count > _MOST_BRANCHES or len(above) > _DEEPEST or len(word) > _LONGEST_WORD:
            raise DataError(
                f"{source} holds a tree that is too deep or too large to be a network; give the "
                "checkpoint itself"
            )
        levels.append(_children(value))
        words, above = list(place), [*above, id(value)]


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((_word(key), child) for key, child in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((str(index), child) for index, child in enumerate(value))
    elif isinstance(value, Stub) and is_module(value):
        for part in _PARTS:
            yield from _children(value.attributes.get(part))
    elif isinstance(value, Stub) and value.name.startswith(_OF_LUA):
        yield from _of_lua(value)
    elif isinstance(value, Stub) and not value.name.startswith(_OF_TRAINING):
        yield from _children(value.attributes)
        yield from ((_word(key), child) for key, child in value.entries)
        yield from _children(value.items)


def _of_lua(module: Stub) -> Iterator[tuple[str, Any]]:
    """Yield what a module of Lua Torch learned, and the modules in it; its graph holds the same
    ones again, and what it last computed is no part of it.
    """
    for name, child in module.attributes.items():
        learned = isinstance(child, np.ndarray) and child.size and name != "output"
        inner = isinstance(child, Stub) and child.name.startswith(_OF_LUA)
        if (learned or inner or name == "modules") and not str(name).startswith("grad"):
            yield str(name), child


def _word(key: Any) -> str:
    return key.name if isinstance(key, Stub) else str(key)
