"""What is told of a network that is described by layers, from its description as plain data.

A bundle's manifest may hold anything there, so nothing is believed: what is no description is told
as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgernn.cli.sheets import Sheet

_GRAPHS = {"encode": "encode", "layers": "step"}  # in a description → the graph


Row = tuple[str, str, str, str, str]


def layers_of(model: Mapping[str, Any]) -> list[Row]:
    """Return of each layer its graph, its name, its kind, what it takes, and its options; nothing
    where ``model`` describes none.
    """
    rows: list[Row] = []
    for part, graph in _GRAPHS.items():
        for layer in _listed(model.get(part)):
            name, kind, taken, options = map(layer.get, ("name", "kind", "inputs", "options"))
            rows.append((graph, _text(name), _text(kind), _text(taken), _text(options)))
    return rows


def cells_of(model: Mapping[str, Any]) -> list[str]:
    """Return the names of the cells that a model's configuration has."""
    options = [layer.get("options") for layer in _listed(model.get("layers"))]
    found = [model.get("cell"), *(own.get("cell") for own in options if isinstance(own, Mapping))]
    return [cell for cell in found if isinstance(cell, str)]


def layer_sheet(model: Mapping[str, Any]) -> Sheet:
    """Return one row per layer; see ``layers_of``."""
    return Sheet(("graph", "layer", "kind", "takes", "options"), layers_of(model))


def others_of(model: Mapping[str, Any]) -> dict[str, str]:
    """Return what else a model's configuration says, name → text: all of it where it describes no
    layers.
    """
    own = {*_GRAPHS} if layers_of(model) else set()
    return {name: _text(value) for name, value in model.items() if name not in own}


def _listed(found: Any) -> list[Mapping[str, Any]]:
    whole = isinstance(found, list) and all(isinstance(each, Mapping) for each in found)
    return found if whole else []


def _text(found: Any) -> str:
    """Return lists and mappings as a person writes them; a port as the contract's tensors are."""
    if isinstance(found, Mapping):
        if "name" in found and "axes" in found:
            below = f" below {found['below']}" if "below" in found else ""
            dtype = found.get("dtype", "float32")
            return f"{found['name']} {dtype}[{_text(found['axes'])}]{below}"
        return ", ".join(f"{name} {_text(value)}" for name, value in found.items())
    if isinstance(found, (list, tuple)):
        return ", ".join(map(_text, found))
    return "" if found is None else str(found)
