"""madmom's pickled networks (``madmom.ml.nn.NeuralNetwork``), as its beat and onset trackers ship
them: layers in a row, run frame by frame.

Row vectors multiply matrices from the left, so ``weights`` is ``[I, H]`` and ``recurrent_weights``
``[H, H]`` (``madmom/ml/nn/layers.py``):

    FeedForwardLayer  f(x W + b)
    RecurrentLayer    h' = f(x W + b + h U)
    LSTMLayer         four gates with peepholes: i and f see c, o sees the new c
    GRULayer          n = tanh(x W + b + r ⊙ (h U)), h' = u ⊙ n + (1 - u) ⊙ h: z is 1 - u

``init`` and ``cell_init`` are the state before the first frame; older files have none, which is
zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgernn.containers.content import Stub
from edgernn.errors import CheckpointError
from edgernn.importers.base import BY_CLASS, Imported, Importer, Match, Opened
from edgernn.importers.sketch import Sketch

_NETWORK = "madmom.ml.nn.NeuralNetwork"
_LAYERS, _FUNCTIONS = "madmom.ml.nn.layers.", "madmom.ml.nn.activations."
_FRAMES = (
    "a frame is what madmom's own signal processing makes of the sound before the network; give "
    "it the same frames"
)
_MEAN = "madmom takes the mean of what several such networks give; this is one of them"


class Madmom(Importer):
    """A pickled network of madmom that runs forwards."""

    word = "madmom"
    about = "a network of madmom, which finds beats and onsets in music"
    differs = (_FRAMES, _MEAN)

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        tree = opened.content.tree
        if not isinstance(tree, Stub) or tree.name != _NETWORK:
            return None
        return Match(BY_CLASS, f"it is a {_NETWORK}")

    def refusal(self, opened: Opened) -> str:
        """See ``Importer.refusal``: a layer of both directions of time, or of another kind."""
        try:
            _layers(opened)
        except CheckpointError as error:
            return str(error)
        return ""

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        layers = _layers(opened)
        sketch = Sketch()
        first = layers[0]
        width = first.part("input_gate", "reset_gate").matrix("weights").shape[0]
        value = sketch.takes_frames("x", width, axis="channels")
        for layer in layers:
            value = _KINDS[layer.kind](layer, sketch, value)
        sketch.axes["y"] = ("batch", "time", "outputs")
        return Imported(sketch.config("module", {"y": value}), sketch.tensors, told=self.differs)


@dataclass(frozen=True)
class _Layer:
    """One layer, or one gate in it, and what a refusal calls it."""

    where: str
    kind: str
    attributes: Mapping[str, Any]

    def refusal(self, why: str) -> CheckpointError:
        """Return the error that this layer is not taken."""
        return CheckpointError(f"{self.where} ({self.kind}) of the network of madmom {why}")

    def part(self, *names: str) -> _Layer:
        """Return the gate of the first of ``names`` that it has; itself where it has none."""
        for name in names:
            found = self.attributes.get(name)
            if isinstance(found, Stub):
                kind = found.name.removeprefix(_LAYERS)
                return _Layer(f"{name} of {self.where}", kind, found.attributes)
        return self

    def matrix(self, name: str, *, axes: int = 2) -> np.ndarray:
        """Return an array; raise CheckpointError where there is none of so many axes."""
        found = self.attributes.get(name)
        if not isinstance(found, np.ndarray) or found.ndim != axes or found.dtype.kind != "f":
            raise self.refusal(f"has no {name} of {axes} axes; the file is damaged, or of another")
        return found

    def bias(self, hidden: int) -> np.ndarray:
        """Return ``[H]``, also of one number that is added to all."""
        found = self.attributes.get("bias", 0.0)
        values = np.asarray(found, np.float32).reshape(-1)
        if values.size not in (1, hidden):
            raise self.refusal(f"has {values.size} biases, expected {hidden}")
        return np.broadcast_to(values, (hidden,)).astype(np.float32)

    def function(self, name: str = "activation_fn") -> str:
        """Return the name of its function."""
        found = self.attributes.get(name)
        if not isinstance(found, Stub) or not found.name.startswith(_FUNCTIONS):
            raise self.refusal(f"has no function of madmom's as its {name}")
        return found.name.removeprefix(_FUNCTIONS)

    def start(self, **names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return the stored first states ``[1, H]`` that are not zeros, by our names."""
        found = {}
        for ours, theirs in names.items():
            value = next((self.attributes[name] for name in theirs if name in self.attributes), 0)
            if isinstance(value, np.ndarray) and value.any():
                found[ours] = np.asarray(value, np.float32).reshape(1, -1)  # [1, H]
        return found


def _layers(opened: Opened) -> list[_Layer]:
    """Return the layers of a file, each of a kind that is taken; raise CheckpointError."""
    found = opened.content.tree.attributes.get("layers")
    if not isinstance(found, list) or not found or not all(isinstance(x, Stub) for x in found):
        raise CheckpointError(
            f"{opened.content.path} is a network of madmom without layers; the file is damaged"
        )
    made = []
    for place, stub in enumerate(found):
        layer = _Layer(f"layer {place}", stub.name.removeprefix(_LAYERS), stub.attributes)
        if layer.kind == "BidirectionalLayer":
            raise layer.refusal(
                "runs in both directions of time: its first result needs the last frame, so there "
                "is no step; run it over whole recordings with madmom"
            )
        if layer.kind not in _KINDS:
            raise layer.refusal(f"is of a kind that is not taken; expected {', '.join(_KINDS)}")
        made.append(layer)
    if not any(layer.kind != "FeedForwardLayer" for layer in made):
        raise CheckpointError(
            f"{opened.content.path} is a network of madmom without a recurrent layer; what is "
            "taken in here runs step by step"
        )
    return made


def _feed_forward(layer: _Layer, sketch: Sketch, value: str) -> str:
    weights = layer.matrix("weights")  # [I, O]
    bias = layer.bias(weights.shape[1])
    value = sketch.linear(sketch.numbered("linear"), value, weights.T, bias)
    function = layer.function()
    if function == "linear":
        return value
    return sketch.add("activation", sketch.numbered("activation"), value, function=function)


def _recurrent(layer: _Layer, sketch: Sketch, value: str) -> str:
    from edgernn.models.cells.blocks import Block

    weights, again = layer.matrix("weights"), layer.matrix("recurrent_weights")
    block = Block(weights.T, again.T, layer.bias(weights.shape[1]))
    function = layer.function()
    options = {} if function == "tanh" else {"activation": function}
    name, first = sketch.numbered("rnn"), layer.start(h=("init",))
    return sketch.recurrent(name, "rnn", [block], value, cell_options=options, first=first)


def _lstm(layer: _Layer, sketch: Sketch, value: str) -> str:
    from edgernn.models.cells.blocks import Block

    gates = [layer.part(name) for name in ("input_gate", "forget_gate", "cell", "output_gate")]
    _as_published(layer, gates, ("sigmoid", "sigmoid", "tanh", "sigmoid"))
    if layer.function() != "tanh":
        raise layer.refusal(f"has the function {layer.function()}, expected tanh")
    hidden = gates[0].matrix("weights").shape[1]
    peepholes = {
        f"p_{key}": gate.matrix("peephole_weights", axes=1)
        for key, gate in zip("if-o", gates, strict=True)
        if gate.attributes.get("peephole_weights") is not None
    }
    if "p_-" in peepholes:
        raise layer.refusal("has peepholes to its cell, of which no equations are known")
    if peepholes:
        zeros = np.zeros(hidden, np.float32)
        peepholes = {key: peepholes.get(key, zeros) for key in ("p_i", "p_f", "p_o")}
    cell = "lstm_peephole" if peepholes else "lstm"
    block = Block(*_joined(gates), others=peepholes)
    first = layer.start(h=("init",), c=("cell_init",))
    if first:
        zeros = np.zeros((1, hidden), np.float32)
        first = {key: first.get(key, zeros) for key in ("h", "c")}
    return sketch.recurrent(sketch.numbered("lstm"), cell, [block], value, first=first)


def _gru(layer: _Layer, sketch: Sketch, value: str) -> str:
    from edgernn.models.cells.blocks import Block

    gates = [layer.part(name) for name in ("reset_gate", "update_gate", "cell")]
    _as_published(layer, gates, ("sigmoid", "sigmoid", "tanh"))
    w_ih, w_hh, b_ih = _joined(gates)
    hidden = w_hh.shape[1]
    sign = np.repeat(np.array([1, -1, 1], np.float32), hidden)  # 1 - σ(a) is σ(-a)
    block = Block(w_ih * sign[:, None], w_hh * sign[:, None], b_ih * sign)
    first = layer.start(h=("init", "hid_init"))
    return sketch.recurrent(sketch.numbered("gru"), "gru", [block], value, first=first)


def _as_published(layer: _Layer, gates: list[_Layer], functions: tuple[str, ...]) -> None:
    found = tuple(gate.function() for gate in gates)
    if found != functions:
        raise layer.refusal(
            f"has the functions {', '.join(found)}, expected {', '.join(functions)}"
        )


def _joined(gates: list[_Layer]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``[gH, I]``, ``[gH, H]`` and ``[gH]``, the gates one below the other."""
    w_ih = [gate.matrix("weights").T for gate in gates]
    w_hh = [gate.matrix("recurrent_weights").T for gate in gates]
    sizes = {(*one.shape, *other.shape) for one, other in zip(w_ih, w_hh, strict=True)}
    if len(sizes) > 1:
        raise gates[0].refusal("has another size than the gates beside it; the file is damaged")
    hidden = w_ih[0].shape[0]
    b_ih = [gate.bias(hidden) for gate in gates]
    return np.concatenate(w_ih), np.concatenate(w_hh), np.concatenate(b_ih)


_KINDS: dict[str, Callable[[_Layer, Sketch, str], str]] = {
    "FeedForwardLayer": _feed_forward,
    "RecurrentLayer": _recurrent,
    "LSTMLayer": _lstm,
    "GRULayer": _gru,
}
