"""Files of RTNeural, which runs small networks of sound; in both of its conventions.

Keras's (``python/model_utils.py``, read by ``RTNeural/model_loader.h``)::

    {"in_shape": [null, null, 1],
     "layers": [{"type": "lstm", "activation": "tanh", "shape": [null, null, 8], "weights": […]}]}

with Keras's layouts: kernels ``[I, gates·H]``, LSTM rows i f c o with one bias, GRU rows z r h that
reset after the product with a bias of two rows, convolutions ``[K, I / groups, O]``. AIDA-X adds
``in_skip`` (the input is added to the result), ``in_gain`` and ``out_gain`` in decibels.

Torch's, as Automated-GuitarAmpModelling writes them for NeuralPi and Proteus::

    {"model_data": {"unit_type": "LSTM", "skip": 1, …}, "state_dict": {"rec.weight_ih_l0": …}}

A bare state dict in JSON is taken by the family ``plain``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.importers.base import BY_CLASS, Imported, Importer, Match, Opened
from edgernn.importers.row import Row, X
from edgernn.importers.rtneural_layers import KINDS, Said

_UNITS = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}
_MOST_LAYERS = 64
_KERAS = "it was written in RTNeural's own form, with Keras's layouts"
_TORCH = "it was written as a state dict, with torch's layouts"
_CAUSAL = (
    "convolutions look back alone, with zeros before the first frame, as RTNeural runs them; the "
    "file does not say how Keras padded"
)
_ADDED = "the network's result is added to the first channel of its input, as the file says ({})"


class RTNeural(Importer):
    """Networks in RTNeural's JSON."""

    word = "rtneural"
    about = "a network of sound for RTNeural (AIDA-X, NeuralPi, Proteus)"

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        tree = opened.content.tree
        if not isinstance(tree, dict):
            return None
        if {"in_shape", "layers"} <= tree.keys() and isinstance(tree["layers"], list):
            return Match(BY_CLASS, "it has in_shape and layers, as RTNeural's files")
        if isinstance(tree.get("model_data"), dict) and isinstance(tree.get("state_dict"), dict):
            return Match(BY_CLASS, "it has model_data and state_dict, as those of NeuralPi")
        return None

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        said = Said(opened.content.path, opened.content.tree)
        row, told = _by_layers(said) if "layers" in said.tree else _by_state_dict(said)
        return Imported(row.config(), row.sketch.tensors, told=(*told, *_rate(said.tree)))


def _by_layers(said: Said) -> tuple[Row, list[str]]:
    """Return the network of a file in RTNeural's own form."""
    shape, layers = said.tree["in_shape"], said.tree["layers"]
    for place, layer in enumerate(layers):
        kind = layer.get("type") if isinstance(layer, dict) else layer
        if not isinstance(kind, str) or kind not in KINDS:
            raise said.refusal(
                f"layer {place} is of the type {kind!r}, expected one of {', '.join(KINDS)}"
            )
    channels = shape[-1] if isinstance(shape, list) and shape else None
    if type(channels) is not int or not 1 <= channels <= 65_536 or len(shape) > 3:
        raise said.refusal(f"in_shape is {shape!r}, expected [null, null, channels]")
    if not 1 <= len(layers) <= _MOST_LAYERS:
        raise said.refusal(f"it has {len(layers)} layers, expected 1 to {_MOST_LAYERS}")
    row, told = Row(channels), [_KERAS]
    _gain_in(said, row)
    taken = row.last
    for place, layer in enumerate(layers):
        KINDS[layer["type"]](said.at(layer, place), row)
        if layer["type"] == "conv1d" and _CAUSAL not in told:
            told.append(_CAUSAL)
    if said.number("in_skip"):
        told.append(_ADDED.format("in_skip"))
        _add_input(said, row, taken)
    row.gain(said.number("out_gain"))
    return row, told


def _gain_in(said: Said, row: Row) -> None:
    """Scale the first channel, which is the sound; further ones are knobs."""
    if not said.number("in_gain"):
        return
    if row.channels == 1:
        row.gain(said.number("in_gain"))
        return
    knobs = row.part(1, row.channels - 1, X)
    row.part(0, 1, X)
    row.gain(said.number("in_gain"))
    row.layer("concat", row.last, knobs, gives=row.channels)


def _add_input(said: Said, row: Row, taken: str) -> None:
    """Add the first channel of the value ``taken`` to what the network gives."""
    result = row.last
    if row.width != 1:
        raise said.refusal(f"it adds its input to {row.width} outputs, expected 1")
    sound = taken if row.channels == 1 else row.part(0, 1, taken)
    row.layer("add", result, sound, gives=1)


def _by_state_dict(said: Said) -> tuple[Row, list[str]]:
    """Return the network of Automated-GuitarAmpModelling's ``SimpleRNN``: one recurrent layer or
    several, and a linear one.
    """
    from edgernn.models.cells.blocks import Block

    model, state = said.tree["model_data"], said.tree["state_dict"]
    unit = model.get("unit_type")
    if unit not in _UNITS or model.get("bidirectional"):
        raise said.refusal(
            f"its unit_type is {unit!r} in one direction, expected one of {', '.join(_UNITS)}"
            if unit not in _UNITS
            else "it is bidirectional, so it has no step that runs as its input comes"
        )
    layers = [name for name in state if name.startswith("rec.weight_ih_l")]
    blocks = [_block(said, state, place) for place in range(len(layers))]
    lin = [said.array(state.get(f"lin.{part}"), f"lin.{part}") for part in ("weight", "bias")]
    if not blocks or any(array is None for array in lin):
        raise said.refusal("it has no rec.weight_ih_l0 or no lin.weight and lin.bias")
    row, told = Row(blocks[0].w_ih.shape[1]), [_TORCH]
    row.recurrent(_UNITS[unit], [Block(*block) for block in blocks])
    row.linear(*lin)
    skip = model.get("skip", 1)
    if skip not in (0, 1):
        raise said.refusal(f"its skip is {skip!r}, expected 0 or 1")
    if skip:
        told.append(_ADDED.format("skip"))
        _add_input(said, row, X)
    return row, told


def _block(said: Said, state: dict[str, Any], place: int) -> Any:
    from edgernn.models.cells.blocks import Block

    def part(kind: str) -> np.ndarray | None:
        name = f"rec.{kind}_l{place}"
        return said.array(state[name], name) if name in state else None

    w_ih, w_hh = part("weight_ih"), part("weight_hh")
    if w_ih is None or w_hh is None or w_ih.ndim != 2 or w_hh.ndim != 2:
        raise said.refusal(f"layer {place} of rec has not both of its matrices")
    return Block(w_ih, w_hh, part("bias_ih"), part("bias_hh"))


def _rate(tree: Mapping[str, Any]) -> tuple[str, ...]:
    metadata = tree.get("metadata")
    inner = metadata.get("samplerate") if isinstance(metadata, dict) else None
    rate = inner if inner is not None else tree.get("samplerate")
    if isinstance(rate, str) and rate.isascii() and rate.isdigit() and len(rate) < 9:
        rate = int(rate)  # as AIDA-X writes it
    if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not rate > 0:
        return ()
    return (f"a step is a sample of sound at {rate:,.0f} samples a second",)
