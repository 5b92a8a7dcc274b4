"""From a chain of blocks to a network described by layers, with its tensors under its own names.

Ids go in as ``tokens [B, T]`` and scores come out as ``logits [B, T, vocab]``; floats go in as
``frames [B, T, features]`` and come out as ``output``. Where no linear layer ends the chain, what
comes out is the top layer's ``hidden``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from edgernn.families.step import LOGITS, VOCAB
from edgernn.importers.grammar.blocks import Layer, Matrix, Stack
from edgernn.importers.grammar.chain import Chain, same
from edgernn.importers.sketch import Sketch, Tensors

if TYPE_CHECKING:
    from edgernn.models.cells.blocks import Block
    from edgernn.models.layered.description import NetworkConfig

FRAMES, FEATURES, OUTPUT, HIDDEN = "frames", "features", "output", "hidden"
_TABLE = "embedding"  # of the layers


def described(chain: Chain, family: Literal["language", "module"]) -> tuple[NetworkConfig, Tensors]:
    """Return the network that computes ``chain``, and its tensors.

    Raises:
        UsageError: a function that the user named is none.
    """
    sketch, table = Sketch(), chain.embedding
    if table is None:
        last = sketch.takes_frames(FRAMES, chain.takes, axis=FEATURES)
    else:
        ids, weight = sketch.takes_ids(table.rows), {"weight": table.weight}
        last = sketch.add("embedding", _TABLE, ids, tensors=weight, width=table.columns)
    for link in chain.links:
        if isinstance(link, str):
            last = sketch.add("activation", sketch.numbered("function"), last, function=link)
        elif isinstance(link, Matrix):
            last = _linear(sketch, chain, link, last)
        else:
            for layers in _alike(link):
                last = _recurrent(sketch, layers, last)
    ends = chain.links[-1]
    scores = OUTPUT if table is None else LOGITS
    name = scores if isinstance(ends, (Matrix, str)) else HIDDEN
    return sketch.config(family, {name: last}), sketch.tensors


def _linear(sketch: Sketch, chain: Chain, matrix: Matrix, last: str) -> str:
    table, ends = chain.embedding, matrix is chain.links[-1]
    name = "head" if ends else sketch.numbered("linear")
    scores = ends and table is not None and matrix.rows == table.rows
    width = VOCAB if scores else matrix.rows
    if table is None or not same(table.weight, matrix.weight):
        return sketch.linear(name, last, matrix.weight, matrix.bias, width=width)
    bias = {} if matrix.bias is None else {"bias": matrix.bias}
    return sketch.add("linear", name, last, tensors=bias, width=width, bias=bool(bias), tied=_TABLE)


def _recurrent(sketch: Sketch, layers: tuple[Layer, ...], last: str) -> str:
    first, name = layers[0], sketch.numbered("rnn")
    learned = [block_of(layer) for layer in layers]
    if first.w_hr is None:
        return sketch.recurrent(name, first.cell, learned, last)
    options = {"projection": str(first.outputs)}
    return sketch.recurrent(name, "lstm_projected", learned, last, cell_options=options)


def block_of(layer: Layer) -> Block:
    """Return what ``layer`` learned as the cells of ``models.cells`` have it."""
    from edgernn.models.cells.blocks import Block

    projection = {} if layer.w_hr is None else {"projection.weight": layer.w_hr}
    others = {**projection, **layer.others}
    return Block(layer.w_ih, layer.w_hh, layer.b_ih, layer.b_hh, others)


def _alike(stack: Stack) -> list[tuple[Layer, ...]]:
    """Return the layers of ``stack`` together where they are of one cell and one width, else each
    alone.
    """
    kinds = {(layer.cell, layer.hidden, layer.outputs) for layer in stack.layers}
    one = len(kinds) == 1
    return [stack.layers] if one else [(layer,) for layer in stack.layers]
