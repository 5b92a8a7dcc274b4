"""A model as Keras describes it: its layers in order, each with the layers whose outputs it takes.

Sequential models and functional ones, as Keras 1, 2 and 3 write them into ``model_config`` or
``config.json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgernn.errors import CheckpointError
from edgernn.wording import some

_MODELS = {"Sequential", "Functional", "Model"}
_MOST_LAYERS = 1000


@dataclass(frozen=True)
class KerasLayer:
    """One layer: its class, its name, its configuration, and the names of the layers it takes."""

    kind: str
    name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Architecture:
    """The layers of a model, each after those that it takes; what goes in and comes out."""

    layers: tuple[KerasLayer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_architecture(config: Any) -> Architecture:
    """Return the architecture that ``model_config`` or ``config.json`` holds.

    Raises:
        CheckpointError: it is of no kind of model that is taken; says which layer and why.
    """
    if not isinstance(config, Mapping) or config.get("class_name") not in _MODELS:
        found = config.get("class_name") if isinstance(config, Mapping) else type(config).__name__
        raise CheckpointError(
            f"the Keras model is of the class {found}, expected Sequential or a functional Model; "
            "a subclassed model keeps its structure in code: rebuild it of layers, and save that"
        )
    inner = config["config"]
    layers = inner if isinstance(inner, list) else _get(inner, "layers", list, "the model")
    if len(layers) > _MOST_LAYERS:
        raise CheckpointError(f"the Keras model has {len(layers)} layers; at most {_MOST_LAYERS}")
    if config["class_name"] == "Sequential":
        return _sequential(layers)
    return _functional(inner, layers)


def _sequential(layers: list[Any]) -> Architecture:
    made: list[KerasLayer] = []
    for described in layers:
        kind, config = _kind_of(described)
        name = _get(config, "name", str, f"a {kind} layer")
        if not made and kind != "InputLayer":  # Keras 1 and 2 may leave it out
            made.append(KerasLayer("InputLayer", f"{name}_input", config, ()))
        made.append(KerasLayer(kind, name, config, tuple(layer.name for layer in made[-1:])))
    if not made:
        raise CheckpointError("the Keras model has no layer")
    return _checked(Architecture(tuple(made), (made[0].name,), (made[-1].name,)))


def _functional(model: Mapping[str, Any], layers: list[Any]) -> Architecture:
    found: dict[str, KerasLayer] = {}
    for described in layers:
        kind, config = _kind_of(described)
        name = _get(described, "name", str, f"a {kind} layer")
        calls = described.get("inbound_nodes", [])
        if not isinstance(calls, list) or len(calls) > 1:
            raise CheckpointError(
                f"the layer {name!r} is called {len(calls)} times in the Keras model; a layer with "
                "more than one call is not taken: give each call a layer of its own"
            )
        found[name] = KerasLayer(kind, name, config, tuple(_taken(calls, name)))
    ends = [tuple(_references(model.get(key))) for key in ("input_layers", "output_layers")]
    return _checked(Architecture(tuple(_in_order(found)), *ends))


def _in_order(found: Mapping[str, KerasLayer]) -> Iterator[KerasLayer]:
    """Yield the layers, each after those that it takes."""
    done: set[str] = set()
    waiting = dict(found)
    while waiting:
        ready = [layer for layer in waiting.values() if done.issuperset(layer.inputs)]
        if not ready:
            raise CheckpointError(
                f"the layers {some(sorted(waiting))} of the Keras model take each other, or layers "
                "that are not there; the file is damaged"
            )
        for layer in ready:
            yield waiting.pop(layer.name)
            done.add(layer.name)


def _checked(made: Architecture) -> Architecture:
    names = [layer.name for layer in made.layers]
    if len(set(names)) != len(names):
        raise CheckpointError("two layers of the Keras model have one name; the file is damaged")
    if absent := [name for name in (*made.inputs, *made.outputs) if name not in names]:
        raise CheckpointError(f"the Keras model names a layer {absent[0]!r} that it has not")
    if not made.inputs or not made.outputs:
        raise CheckpointError("the Keras model names no input or no output; the file is damaged")
    return made


def _kind_of(described: Any) -> tuple[str, Mapping[str, Any]]:
    kind = _get(described, "class_name", str, "a layer")
    return kind, _get(described, "config", Mapping, f"a {kind} layer")


def _taken(calls: list[Any], name: str) -> Iterator[str]:
    """Yield the layers that a call takes: lists of ``[layer, node, tensor]`` in Keras 1 and 2,
    described tensors in Keras 3.
    """
    for call in calls:
        if isinstance(call, Mapping):
            yield from _histories(call.get("args"), name)
            yield from _histories(call.get("kwargs"), name)
        else:
            yield from _references(call)


def _histories(value: Any, name: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            history = value.get("config", {}).get("keras_history")
            yield from _references([history])
        else:
            for inner in value.values():
                yield from _histories(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _histories(inner, name)


def _references(found: Any) -> Iterator[str]:
    """Yield the names of ``[layer, node, tensor]``, or of a list or dict of them."""
    if isinstance(found, Mapping):
        found = list(found.values())
    if not isinstance(found, list) or not found:
        return
    if isinstance(found[0], str):
        if len(found) > 2 and found[2] not in (0, None):
            raise CheckpointError(
                f"the Keras model takes the result {found[2]} of the layer {found[0]!r}, a state; "
                "that is taken of no layer: states are explicit in what edgernn exports"
            )
        yield found[0]
        return
    for inner in found:
        yield from _references(inner)


def _get(described: Any, key: str, kind: type[Any], what: str) -> Any:
    if not isinstance(described, Mapping) or not isinstance(described.get(key), kind):
        raise CheckpointError(f"{what} of the Keras model has no {key}; the file is damaged")
    return described[key]
