"""From a chain of blocks to a network described by layers, with its tensors under its own names.

Ids go in as ``tokens [B, T]`` and scores come out as ``logits [B, T, vocab]``; floats go in as
``frames [B, T, features]`` and come out as ``output``. Where no linear layer ends the chain, what
comes out is the top layer's ``hidden``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgernn.contract import BATCH, TIME, TOKENS
from edgernn.families.step import LOGITS, VOCAB
from edgernn.importers.grammar.blocks import Layer, Matrix, Stack
from edgernn.importers.grammar.chain import Chain, same

if TYPE_CHECKING:
    from edgernn.models.layered.description import NetworkConfig

FRAMES, FEATURES, OUTPUT = "frames", "features", "output"
Tensors = dict[str, np.ndarray]


def described(chain: Chain, family: Literal["language", "module"]) -> tuple[NetworkConfig, Tensors]:
    """Return the network that computes ``chain``, and its tensors.

    Raises:
        UsageError: a function that the user named is none.
    """
    from edgernn.models.layered.description import NetworkConfig

    writer = _Writer(chain)
    for link in chain.links:
        writer.add(link)
    ends = chain.links[-1]
    ids = chain.embedding is not None
    name = (LOGITS if ids else OUTPUT) if isinstance(ends, (Matrix, str)) else "hidden"
    config = NetworkConfig.model_validate(
        {
            "family": family,
            "inputs": (writer.port,),
            "sizes": writer.sizes,
            "layers": tuple(writer.layers),
            "outputs": {name: writer.last},
        }
    )
    config.contract()  # which knows the functions
    return config, writer.tensors


class _Writer:
    """Writes one layer after another; each takes what the one before gives."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.layers: list[dict[str, Any]] = []
        self.tensors: Tensors = {}
        table = chain.embedding
        if table is None:
            self.sizes = {FEATURES: chain.takes}
            self.port = {"name": FRAMES, "axes": (BATCH, TIME, FEATURES)}
            self.last = FRAMES
            return
        self.sizes = {VOCAB: table.rows}
        self.port = {"name": TOKENS, "dtype": "int64", "axes": (BATCH, TIME), "below": VOCAB}
        self.last = TOKENS
        self._layer("embedding", "embedding", {"width": table.columns}, weight=table.weight)

    def add(self, link: Matrix | Stack | str) -> None:
        """Write one block."""
        if isinstance(link, str):
            self._layer(self._free("function"), "activation", {"function": link})
        elif isinstance(link, Matrix):
            self._linear(link)
        else:
            for layers in _alike(link):
                self._recurrent(layers)

    def _linear(self, matrix: Matrix) -> None:
        table = self.chain.embedding
        ends = matrix is self.chain.links[-1]
        scores = ends and table is not None and matrix.rows == table.rows
        options: dict[str, Any] = {
            "width": VOCAB if scores else matrix.rows,
            "bias": matrix.bias is not None,
        }
        tensors = {} if matrix.bias is None else {"bias": matrix.bias}
        if table is not None and same(table.weight, matrix.weight):
            options["tied"] = "embedding"
        else:
            tensors["weight"] = matrix.weight
        self._layer("head" if ends else self._free("linear"), "linear", options, **tensors)

    def _recurrent(self, layers: tuple[Layer, ...]) -> None:
        from edgernn.models.layered.tensors import Block, recurrent_tensors

        first = layers[0]
        name = self._free("rnn")
        options: dict[str, Any] = {"cell": first.cell, "hidden": first.hidden}
        if len(layers) > 1:
            options["layers"] = len(layers)
        if first.w_hr is not None:
            projection = {"projection": str(first.outputs)}
            options |= {"cell": "lstm_projected", "cell_options": projection}
        self._layer(name, "recurrent", options)
        blocks = [Block(x.w_ih, x.w_hh, x.b_ih, x.b_hh, _others(x)) for x in layers]
        cell, cell_options = options["cell"], options.get("cell_options")
        self.tensors |= recurrent_tensors(name, cell, blocks, cell_options=cell_options)

    def _layer(self, name: str, kind: str, options: dict[str, Any], **tensors: np.ndarray) -> None:
        self.layers.append({"name": name, "kind": kind, "inputs": (self.last,), "options": options})
        self.tensors |= {f"layers.{name}.{part}": array for part, array in tensors.items()}
        self.last = name

    def _free(self, word: str) -> str:
        """Return a name that no layer has: the word and how many of its kind come before."""
        return f"{word}{sum(layer['name'].startswith(word) for layer in self.layers)}"


def _others(layer: Layer) -> Tensors:
    projection = {} if layer.w_hr is None else {"projection.weight": layer.w_hr}
    return {**projection, **layer.others}


def _alike(stack: Stack) -> list[tuple[Layer, ...]]:
    """Return the layers of ``stack`` together where they are of one cell and one width, else each
    alone.
    """
    kinds = {(layer.cell, layer.hidden, layer.outputs) for layer in stack.layers}
    one = len(kinds) == 1
    return [stack.layers] if one else [(layer,) for layer in stack.layers]
