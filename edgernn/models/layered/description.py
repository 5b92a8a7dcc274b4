"""A network described by layers, as data: what ``config.json`` of a run folder holds where the
model is a ``network``.

One complete example, a language model of two LSTM layers of different widths whose head shares the
embedding's matrix::

    {"family": "language",
     "inputs": [{"name": "tokens", "dtype": "int64", "axes": ["batch", "time"], "below": "vocab"}],
     "sizes": {"vocab": 10000},
     "layers": [
       {"name": "embedding", "kind": "embedding", "inputs": ["tokens"], "options": {"width": 400}},
       {"name": "rnn0", "kind": "recurrent", "inputs": ["embedding"],
        "options": {"cell": "lstm", "hidden": 1150}},
       {"name": "rnn1", "kind": "recurrent", "inputs": ["rnn0"],
        "options": {"cell": "lstm", "hidden": 400}},
       {"name": "head", "kind": "linear", "inputs": ["rnn1"],
        "options": {"width": "vocab", "tied": "embedding"}}],
     "outputs": {"logits": "head"}}

Its parameters are ``layers.embedding.weight``, ``layers.rnn0.stack.fused.weight_ih_l0`` (see
``tensors.recurrent_tensors``, which gives the names and values of a recurrent layer),
``layers.head.bias``; its states are ``rnn0_h [rnn0_layers, batch, rnn0_hidden]``, ``rnn0_c``,
``rnn1_h`` and ``rnn1_c``. Where one layer alone is recurrent its states are ``h [layers, batch,
hidden]`` and ``c``.

Layers stand in the order in which they run: each takes values before it, which are the ports, the
contexts, results of other layers by the layer's name, and second results as ``NAME.PART``. A size
in options is a number, or the name of an axis of ``sizes``, by which the contract then calls it:
the head's width above is ``vocab``, so that the logits are scores of the ids. Otherwise the axis is
called after the layer, ``rnn0_hidden``, ``dense_width``.

With ``encode`` there are two graphs: ``given`` are its inputs, ``contexts`` are those of its values
that each step takes by their new names, and ``first`` says which of its values are first states
(``[B, L·H]``, or a state's own axes, as ``run`` gives them).
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, model_validator
from torch import nn

from edgernn.contract import BATCH, TIME, Contract, Decoding, Record
from edgernn.contract.records import refuse
from edgernn.contract.spec import AxisName, DType, Size, TensorName
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.families.table import TABLE as FAMILIES
from edgernn.models.language import start_tokens
from edgernn.models.layered.contract import described_contract
from edgernn.models.layered.table import KINDS
from edgernn.wording import expected_one_of

LayerName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
ValueName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[a-z][a-z0-9_]*)?$")]
_MOST_LAYERS = 256


def _known_family(word: str) -> str:
    if word not in FAMILIES:
        raise ValueError(expected_one_of(word, FAMILIES))
    return word


class Port(Record):
    """An input of a graph: of the step ``[batch, time, …]``, of ``encode`` ``[batch, …]``.

    ``below`` names the axis of ``sizes`` that bounds the values where they are ids.
    """

    name: TensorName
    dtype: DType = "float32"
    axes: tuple[AxisName, ...]
    below: AxisName | None = None


class Layer(Record):
    """One layer: a ``kind`` of ``table.KINDS``, the values that it takes, and the kind's own
    options.
    """

    name: LayerName
    kind: str
    inputs: tuple[ValueName, ...] = ()
    options: dict[str, Any] = Field(default_factory=dict)


class NetworkConfig(Record):
    """The whole network; see the module's docstring.

    Attributes:
        family: what kind of model it is to verify, bench and the commands.
        inputs: the step's fresh inputs.
        given: the inputs of ``encode``; none where there is no such graph.
        sizes: axis → size, of the axes that ports and options name.
        encode, layers: the layers of the two graphs, in the order in which they run.
        outputs: output of the step → the value that it is; scores of ids come first.
        contexts: context → the value of ``encode`` that it is.
        first: state → the value of ``encode`` that is its first value.
        axes: output or context → its axes, where they are to be called otherwise.
        writes: how a host writes text with it.
        labels: axis → the names of its places, as of the classes of a classifier.
        latency_frames: by how many steps the outputs are late.
    """

    family: Annotated[str, AfterValidator(_known_family)]
    inputs: Annotated[tuple[Port, ...], Field(min_length=1, max_length=64)]
    given: Annotated[tuple[Port, ...], Field(max_length=64)] = ()
    sizes: dict[AxisName, Size] = Field(default_factory=dict)
    encode: Annotated[tuple[Layer, ...], Field(max_length=_MOST_LAYERS)] = ()
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=_MOST_LAYERS)]
    outputs: Annotated[dict[TensorName, ValueName], Field(min_length=1)]
    contexts: dict[TensorName, ValueName] = Field(default_factory=dict)
    first: dict[TensorName, ValueName] = Field(default_factory=dict)
    axes: dict[TensorName, tuple[AxisName, ...]] = Field(default_factory=dict)
    writes: Decoding | None = None
    labels: dict[AxisName, tuple[str, ...]] = Field(default_factory=dict)
    latency_frames: int = Field(default=0, ge=0, le=4096)

    @model_validator(mode="after")
    def _values_are_there(self) -> NetworkConfig:
        for layer in (*self.encode, *self.layers):
            refuse(_layer_problem(layer))
        if (self.encode or self.contexts or self.first) and not self.given:
            raise ValueError("there are layers or values of encode, but given names no input of it")
        encoded = [port.name for port in self.given]
        refuse(
            _order_problem(encoded, self.encode, [*self.contexts.values(), *self.first.values()])
        )
        fed = [port.name for port in self.inputs]
        refuse(_order_problem([*fed, *self.contexts], self.layers, list(self.outputs.values())))
        if chosen := sorted(self.sizes.keys() & {BATCH, TIME}):
            raise ValueError(f"sizes has {chosen[0]}, which a caller chooses; leave it out")
        if strange := sorted(self.axes.keys() - self.outputs.keys() - self.contexts.keys()):
            raise ValueError(f"axes names {strange[0]}, which is no output and no context")
        return self

    @cached_property
    def _contract(self) -> Contract:
        return described_contract(self)

    def contract(self) -> Contract:
        """Return the step contract of the network.

        Raises:
            UsageError: a layer's options, or what it is given, do not fit its kind; names it.
        """
        return self._contract

    @property
    def vocabulary(self) -> int:
        """V, the number of token ids; 0 where it takes none."""
        below = next((port.below for port in self.inputs if port.below is not None), None)
        return self.sizes.get(below or "", 0)

    def decoding(self, tokenizer: Tokenizer | None) -> Decoding | None:
        """Return how a host writes with it: as described, else a language model as every other."""
        if self.writes is not None or self.family != "language":
            return self.writes
        start = np.zeros(1, np.int64) if tokenizer is None else start_tokens(tokenizer)
        return Decoding(start=tuple(start.tolist()))

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """Return the description as it is written to JSON: without what is at its default."""
        return super().model_dump(**{"mode": "json", "exclude_defaults": True, **options})


def _layer_problem(layer: Layer) -> str:
    if layer.kind not in KINDS:
        return f"the layer {layer.name!r} is of kind {layer.kind!r}; " + expected_one_of(
            layer.kind, KINDS
        )
    if hasattr(nn.ModuleDict, layer.name):
        return f"no layer can be called {layer.name!r}; choose another name, as {layer.name}_layer"
    return ""


def _order_problem(known: list[str], layers: tuple[Layer, ...], wanted: list[str]) -> str:
    """Say which value is asked for before it is there, or is never there, or has another's name."""
    twice = [
        name for name, count in Counter([*known, *(x.name for x in layers)]).items() if count > 1
    ]
    if twice:
        return f"two values are called {twice[0]!r}; every port, context and layer has its own name"
    later = {layer.name for layer in layers}
    there = set(known)
    for layer in layers:
        for name in layer.inputs:
            if (own := name.partition(".")[0]) in there:
                continue
            if own in later:
                return (
                    f"the layer {layer.name!r} takes {name!r}, which comes after it: layers stand "
                    "in the order in which they run, and what a later layer kept of the step "
                    "before is a layer of kind 'before'"
                )
            return f"the layer {layer.name!r} takes {name!r}; {expected_one_of(name, there)}"
        there.add(layer.name)
    missing = next((name for name in wanted if name.partition(".")[0] not in there), None)
    return (
        ""
        if missing is None
        else f"no value is called {missing!r}; {expected_one_of(missing, there)}"
    )
