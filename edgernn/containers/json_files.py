"""JSON files of weights: nested lists of numbers become arrays, all else stays plain.

Four of them are known by their keys:

    .nam          {"version", "architecture", "config", "weights": one flat list, …}
    RTNeural      {"in_shape", "layers": [{"type", "activation", "shape", "weights": [lists]}, …]}
    Keras         {"class_name", "config", …}: an architecture, of which nothing is an array
    a state dict  {name: nested lists, …}, as ``json.dump`` of a ``state_dict()`` writes it, also
                  inside other keys ({"model_data": …, "state_dict": {…}})
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from edgernn.containers.content import Content
from edgernn.containers.source import Source
from edgernn.storage import strict_json

_MOST_AXES = 8
_NUMBERS = frozenset({int, float})


def read_json(source: Source) -> Content:
    """Read a JSON object: its rectangular lists of numbers as float64 (int64 where all are whole),
    the rest as it is; of a ``.nam`` or RTNeural file only the weights.

    Raises:
        DataError: it is no JSON object, or its lists of numbers are of unequal lengths.
    """
    try:
        found = strict_json.parse_object(bytes(source.raw))
        if {"architecture", "config", "weights"} <= found.keys():
            tree = {**found, "weights": _arrays("weights", found["weights"])}
            return Content(source.path, "neural-amp-modeler JSON (.nam)", tree)
        if {"in_shape", "layers"} <= found.keys() and isinstance(found["layers"], list):
            layers = [_layer(index, layer) for index, layer in enumerate(found["layers"])]
            return Content(source.path, "RTNeural JSON", {**found, "layers": layers})
        if {"class_name", "config"} <= found.keys():  # whose lists are shapes, not weights
            return Content(source.path, "Keras architecture JSON", found)
        return Content(
            source.path, "JSON", {key: _arrays(key, value) for key, value in found.items()}
        )
    except ValueError as error:
        raise source.damaged(str(error)) from error


def _layer(index: int, layer: Any) -> Any:
    """Return a layer of RTNeural's with its weights as a list of arrays."""
    if not isinstance(layer, dict) or not isinstance(layer.get("weights"), list):
        return layer
    place = f"layers.{index}.weights"
    weights = [_arrays(f"{place}.{k}", value) for k, value in enumerate(layer["weights"])]
    return {**layer, "weights": weights}


def _arrays(place: str, value: Any) -> Any:
    """Return ``value`` with its lists of numbers as arrays; ``place`` is its name in the file."""
    if isinstance(value, dict):
        return {key: _arrays(f"{place}.{key}", child) for key, child in value.items()}
    if not isinstance(value, list) or not value:
        return value
    if _leads_to_number(value):
        return _array(place, value)
    return [_arrays(f"{place}.{index}", child) for index, child in enumerate(value)]


def _leads_to_number(value: list[Any]) -> bool:
    first: Any = value
    while isinstance(first, list) and first:
        first = first[0]
    return type(first) in _NUMBERS


def _array(place: str, value: list[Any]) -> np.ndarray:
    """Return nested lists of numbers as an array; raise ValueError where they are not rectangular,
    or hold anything else.
    """
    shape, level = [len(value)], value
    while level and type(level[0]) is list:
        lengths = {len(row) if type(row) is list else -1 for row in level}
        if len(lengths) > 1 or len(shape) == _MOST_AXES:
            raise ValueError(f"the lists of {place!r} are of unequal lengths, or too deep")
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    kinds = set(map(type, level))
    if not kinds <= _NUMBERS:
        strange = min(kind.__name__ for kind in kinds - _NUMBERS)
        raise ValueError(f"the numbers of {place!r} are mixed with {strange}")
    try:
        return np.array(level, np.float64 if float in kinds else np.int64).reshape(shape)
    except OverflowError as error:
        raise ValueError(f"a number of {place!r} has more than 63 bits") from error
