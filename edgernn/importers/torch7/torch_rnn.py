"""jcjohnson/torch-rnn: a table of vectors, layers of ``nn.LSTM`` or ``nn.VanillaRNN`` over whole
sequences, and a linear layer, in ``nn.LanguageModel``.

    weight [D + H, 4H]   rows of the input over those of the state, columns i, f, o, g
    bias [4H]

Batch normalisation between layers acts on what a layer gives and not on its state; in evaluation it
is a scale and a shift, which the next layer's matrix takes in.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from edgernn.containers.content import Stub
from edgernn.errors import CheckpointError
from edgernn.importers.base import BY_CLASS, Imported, Importer, Match, Opened
from edgernn.importers.grammar.assemble import assemble
from edgernn.importers.grammar.blocks import Layer, Matrix, Stack, in_order
from edgernn.importers.grammar.chain import Chain
from edgernn.importers.torch7.graph import listed, matrix_of
from edgernn.importers.vocabularies.finding import find_vocabulary
from edgernn.importers.vocabularies.tokenizing import Kind, tokenizer_of
from edgernn.importers.vocabularies.vocabulary import Vocabulary

_PASSING = ("nn.Dropout", "nn.View")
_LAYERS = {"nn.LSTM": "lstm", "nn.VanillaRNN": "rnn"}
_MODEL = "nn.LanguageModel"
_BYTE = re.compile(r"\[(12[89]|1[3-9]\d|2[0-4]\d|25[0-5])\]")
Affine = tuple[np.ndarray, np.ndarray]  # scale and shift


class TorchRnn(Importer):
    """``{model = nn.LanguageModel{net, idx_to_token, …}, …}``, or the model alone."""

    word = "torch-rnn"
    about = "a language model of jcjohnson/torch-rnn"

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``; neuraltalk2's class of the same name has no ``net``."""
        if _model(opened) is None:
            return None
        return Match(BY_CLASS, f"it holds an object of the class {_MODEL} with a net")

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        model = _model(opened)
        assert model is not None
        table, layers, head = _parts(model)
        given = opened.wishes.vocabulary
        own, in_bytes = _own_words(model.attributes.get("idx_to_token"))
        vocabulary = find_vocabulary(given or own, size=table.rows, base=0 if given else 1)
        chain = Chain(table, (Stack("rnns", tuple(layers)), head), vocabulary.told).checked()
        kind: Kind = "bytes" if in_bytes and not given else _kind(vocabulary)
        return assemble(chain, tokenizer_of(vocabulary, kind))


def _model(opened: Opened) -> Stub | None:
    tree = opened.content.tree
    found = tree.get("model") if isinstance(tree, dict) else tree
    mine = isinstance(found, Stub) and found.name == _MODEL and "net" in found.attributes
    return found if mine and isinstance(found, Stub) else None


def _own_words(found: Any) -> tuple[Any, bool]:
    """Return the file's own vocabulary, and whether it has bytes: with ``--encoding bytes``
    upstream's ``preprocess.py`` writes those above 127 as ``[195]``.
    """
    words = found if isinstance(found, dict) else {}
    bytes_of = {
        index: int(word[1:-1])
        for index, word in words.items()
        if isinstance(word, str) and _BYTE.fullmatch(word)
    }
    if not bytes_of or any(not isinstance(w, str) or len(w) not in (1, 5) for w in words.values()):
        return found, False
    return {**words, **{index: chr(byte) for index, byte in bytes_of.items()}}, True


def _kind(vocabulary: Vocabulary) -> Kind:
    """Characters, or words where upstream's preprocessing was changed to them."""
    return "characters" if all(len(word) == 1 for word in vocabulary.words) else "words"


def _parts(model: Stub) -> tuple[Matrix, list[Layer], Matrix]:
    """Return the table, the recurrent layers and the head of its ``net``."""
    net = model.attributes["net"]
    modules = listed(net.attributes.get("modules")) if isinstance(net, Stub) else []
    layers, tables, heads = list[Layer](), list[Matrix](), list[Matrix]()
    affine: Affine | None = None
    for module in modules:
        name = module.name if isinstance(module, Stub) else type(module).__name__
        if name in _LAYERS:
            layers.append(_folded(_layer(module, len(layers)), affine))
            affine = None
        elif name == "nn.LookupTable":
            tables.append(matrix_of(module, "net.LookupTable"))
        elif name == "nn.Linear":
            heads.append(_folded_head(matrix_of(module, "net.Linear"), affine))
        elif name == "nn.BatchNormalization":
            affine = _affine(module)
        elif name not in _PASSING:
            raise CheckpointError(
                f"its net has a {name}, which torch-rnn itself does not write; expected "
                f"{', '.join(_LAYERS)} between a table of vectors and a linear layer"
            )
    if len(tables) != 1 or len(heads) != 1 or not layers:
        raise CheckpointError(
            f"its net has {len(tables)} tables of vectors, {len(layers)} recurrent layers and "
            f"{len(heads)} linear layers; expected one, one or more, and one"
        )
    return tables[0], layers, heads[0]


def _layer(module: Stub, number: int) -> Layer:
    weight, bias = (module.attributes.get(key) for key in ("weight", "bias"))
    inputs = module.attributes.get("input_dim")
    if weight is None or bias is None or not isinstance(inputs, int) or weight.ndim != 2:
        raise CheckpointError(f"layer {number} of its net has no weight or bias; it is damaged")
    cell = _LAYERS[module.name]
    halves = [weight[:inputs].T, weight[inputs:].T]  # [gH, D], [gH, H]
    if cell == "lstm":
        halves = [in_order(half, "ifog", "ifgo") for half in halves]
        bias = in_order(bias, "ifog", "ifgo")
    return Layer(f"rnns.{number}", cell, halves[0], halves[1], bias, None)


def _affine(module: Stub) -> Affine:
    """Return the scale and the shift of a batch normalisation in evaluation."""
    has = module.attributes
    mean, eps = has.get("running_mean"), has.get("eps", 1e-5)
    if has.get("running_var") is not None:
        scale = 1 / np.sqrt(np.asarray(has["running_var"], np.float64) + eps)
    elif has.get("running_std") is not None:  # older ones keep its inverse
        scale = np.asarray(has["running_std"], np.float64)
    else:
        raise CheckpointError("a batch normalisation of its net has no variance; it is damaged")
    scale = scale * has.get("weight", np.ones(1))
    return scale, has.get("bias", np.zeros(1)) - np.asarray(mean, np.float64) * scale


def _folded(layer: Layer, affine: Affine | None) -> Layer:
    if affine is None:
        return layer
    scale, shift = affine
    w_ih, bias = np.asarray(layer.w_ih, np.float64), layer.b_ih
    assert bias is not None
    return replace(layer, w_ih=w_ih * scale, b_ih=bias + w_ih @ shift)


def _folded_head(head: Matrix, affine: Affine | None) -> Matrix:
    if affine is None:
        return head
    scale, shift = affine
    weight = np.asarray(head.weight, np.float64)
    bias = np.zeros(head.rows) if head.bias is None else head.bias
    return replace(head, weight=weight * scale, bias=bias + weight @ shift)
