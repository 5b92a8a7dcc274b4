"""Keras files: whole models and weights of Keras 1 and 2 (``.h5``), weights of Keras 3
(``.weights.h5``) and its archives (``.keras``).

Every tree has the same three keys:

    config   the model's architecture as Keras describes it; None where the file has none
    layers   of Keras 1 and 2: layer → weight's own name → array, in the order of the file's lists;
             of Keras 3: group → group → … → ``vars`` → number → array
    names    of Keras 3: path of a group → the layer's name that the file gives it

Keras 3 names its groups by class and order (``lstm``, ``lstm_1``), not by the layers' names. What
an optimiser keeps is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgernn.containers.content import Content
from edgernn.containers.descriptions import description, description_in
from edgernn.containers.hdf5 import Group
from edgernn.containers.hdf5_apart import groups_of
from edgernn.containers.source import Source

_OPTIMISERS = frozenset({"optimizer", "optimizer_weights", "_optimizer"})
_TOLD = ("keras_version", "backend", "date_saved")
_WEIGHTS, _SAID = "model.weights.h5", "metadata.json"


def read_keras(source: Source) -> Content:
    """Read a ``.keras`` archive.

    Raises:
        DataError: it is damaged, or its weights lie in another place.
        UnavailableError: the package h5py is missing.
    """
    missing = {"config.json", _WEIGHTS} - set(source.names)
    if missing or source.archive is None:
        raise source.refused(f"has no {min(missing)}; save it again with model.save(FILE)")
    try:
        config = description_in(source.archive, "config.json")
        said = description_in(source.archive, _SAID) if _SAID in source.names else {}
        raw = source.archive.read(_WEIGHTS)
    except ValueError as error:
        raise source.damaged(str(error)) from error
    tree = _third(groups_of(source, raw, _OPTIMISERS), config)
    return Content(source.path, "Keras 3 archive (.keras)", tree, _metadata(said))


def read_h5(source: Source) -> Content:
    """Read a whole model or weights in HDF5; a file of another program comes as nested groups, as
    that of Keras 3 does.

    Raises:
        DataError: it is damaged, or lists weights that it has not.
        UnavailableError: the package h5py is missing.
    """
    root = groups_of(source, source.raw, _OPTIMISERS)
    config = None
    if "model_config" in root.attributes:
        try:
            config = description(root.attributes["model_config"], "model_config")
        except ValueError as error:
            raise source.damaged(str(error)) from error
    weights = root.groups.get("model_weights", root)
    metadata = {**_metadata(root.attributes), **_metadata(weights.attributes)}
    layers = _listed(weights, "layer_names")
    if layers is None:
        kind = "Keras 3 weights (.weights.h5)" if "layers" in root.groups else "HDF5"
        return Content(source.path, kind, _third(root, config), metadata)
    tree = {"config": config, "layers": _second(source, weights, layers), "names": {}}
    kind = "Keras 2 weights (.h5)" if config is None else "Keras 2 model (.h5)"
    return Content(source.path, kind, tree, metadata)


def _second(source: Source, weights: Group, layers: list[str]) -> dict[str, dict[str, np.ndarray]]:
    """Return layer → weight → array of a file of Keras 1 or 2."""
    found = {}
    for layer in layers:
        group = _group_at(weights, layer)
        if group is None:
            raise source.damaged(f"the layer {layer!r} that it lists is missing")
        names = _listed(group, "weight_names") or []
        arrays = {name: group.at(name) for name in names}
        absent = next((name for name, array in arrays.items() if array is None), None)
        if absent is not None:
            raise source.damaged(f"the weight {absent!r} of the layer {layer!r} is missing")
        found[layer] = {name: array for name, array in arrays.items() if array is not None}
    return found


def _group_at(group: Group, place: str) -> Group | None:
    """Return the group at a path: a layer's name may have slashes."""
    found: Group | None = group
    for name in place.strip("/").split("/"):
        found = found.groups.get(name) if found else None
    return found


def _listed(group: Group, key: str) -> list[str] | None:
    """Return a list of texts among the attributes; a long one stands in parts, ``key0``,
    ``key1``, …; None where there is none.
    """
    if key in group.attributes:
        whole = group.attributes[key]
        return whole if isinstance(whole, list) else None if isinstance(whole, str) else []
    if f"{key}0" not in group.attributes:
        return None
    found: list[str] = []
    for number in range(len(group.attributes)):
        part = group.attributes.get(f"{key}{number}", [])
        found += part if isinstance(part, list) else []
    return found


def _third(root: Group, config: dict[str, Any] | None) -> dict[str, Any]:
    names: dict[str, str] = {}
    return {"config": config, "layers": _nested(root, "", names), "names": names}


def _nested(group: Group, place: str, names: dict[str, str]) -> dict[str, Any]:
    """Return the group as dicts; ``names`` takes what is called otherwise than its group."""
    if isinstance(group.attributes.get("name"), str):
        names[place.removesuffix("/vars")] = group.attributes["name"]
    below = {
        name: _nested(child, f"{place}/{name}".lstrip("/"), names)
        for name, child in group.groups.items()
    }
    return {**group.arrays, **{name: child for name, child in below.items() if child}}


def _metadata(found: dict[str, Any]) -> dict[str, str]:
    return {name: str(found[name]) for name in _TOLD if name in found}
