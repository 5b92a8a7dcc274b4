"""The variables of a Keras layer, in the order in which the layer made them.

Keras 1 and 2 list them by layer. Keras 3 keeps them in groups that are called after the class and
the order of the layers, ``lstm``, ``lstm_1``; the layer's own name stands beside, in files of later
versions alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from edgernn.errors import CheckpointError
from edgernn.importers.keras.architecture import Architecture

_ROOTS = ("layers", "_layer_checkpoint_dependencies")
_Member = tuple[str, str, Mapping[str, Any]]  # of a model or a stack: class, name, configuration


def variables_of(tree: Mapping[str, Any], model: Architecture) -> dict[str, list[np.ndarray]]:
    """Return layer → its variables in order, of what ``containers.keras_files`` reads.

    Raises:
        CheckpointError: the file has weights of other layers than the model.
    """
    layers, names = tree["layers"], tree["names"]
    for root in _ROOTS:
        if _is_grouped(layers.get(root)):
            members = [(layer.kind, layer.name, layer.config) for layer in model.layers]
            found = _members(layers[root], members, root, names)
            return {name: list(_arrays(*held, names)) for name, held in found.items()}
    return _listed(layers, model)


def _is_grouped(root: Any) -> bool:
    """Whether these are groups of groups, as those of Keras 3."""
    return isinstance(root, Mapping) and all(isinstance(held, Mapping) for held in root.values())


def _listed(
    layers: Mapping[str, Mapping[str, np.ndarray]], model: Architecture
) -> dict[str, list[np.ndarray]]:
    known = {layer.name for layer in model.layers}
    if strange := [name for name, held in layers.items() if held and name not in known]:
        raise CheckpointError(
            f"the file has weights of a layer {strange[0]!r}, which its model has not; give the "
            "weights and the architecture of one model"
        )
    return {name: list(held.values()) for name, held in layers.items()}


_Held = tuple[Mapping[str, Any], str, Mapping[str, Any]]  # a group, its path, a configuration


def _members(
    groups: Mapping[str, Any], members: Iterable[_Member], place: str, names: Mapping[str, str]
) -> dict[str, _Held]:
    """Return member → its group: the one that says its name, else the one of its class and
    order.
    """
    said = {names[f"{place}/{group}"]: group for group in groups if f"{place}/{group}" in names}
    counted: Counter[str] = Counter()
    found: dict[str, _Held] = {}
    for kind, name, config in members:
        base = _snake(kind)
        by_order = f"{base}_{counted[base]}" if counted[base] else base
        counted[base] += 1
        group = said.get(name, None if said else by_order)
        if group is not None and group in groups:
            found[name] = (groups[group], f"{place}/{group}", config)
    return found


def _arrays(
    group: Mapping[str, Any], place: str, config: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[np.ndarray]:
    """Yield a layer's own variables, then those of its cell, its cells in their order, or the
    layer in it.
    """
    yield from group.get("vars", {}).values()
    for key in ("cell", "layer"):
        if key in group:
            yield from _arrays(group[key], f"{place}/{key}", _inner(config, key), names)
    if "cells" in group:
        members = [
            (cell.get("class_name", ""), _inner(cell, "config").get("name", ""), cell["config"])
            for cell in config.get("cells", ())
        ]
        for held in _members(group["cells"], members, f"{place}/cells", names).values():
            yield from _arrays(*held, names)


def _inner(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the configuration of what lies in a layer."""
    inner = config.get(key, {})
    return inner.get("config", inner) if isinstance(inner, Mapping) else {}


def _snake(kind: str) -> str:
    """Return the name that Keras 3 makes of a class: ``SimpleRNN`` is ``simple_rnn``."""
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
