"""The captioners of ruotianluo/ImageCaptioning.pytorch as networks of layers, one function each.

Equations are those of its ``captioning/models``; the maxout cell is ``LSTMCore`` of ``FCModel.py``.
Each function puts its network into a sketch and returns the name of the top layer's value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edgernn.errors import CheckpointError
from edgernn.importers.captioning import FEATURES, KEYS, VOCAB, Sketch

_FC, _ATT = "fc", "att"  # as upstream calls its features
_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_MAXOUT = 5  # gates of the maxout cell
_FUSED = {4: "lstm", 3: "gru", 1: "rnn"}  # blocks of rows → the cell of show_tell


@dataclass(frozen=True)
class Form:
    """One model of upstream.

    Attributes:
        word: as ``--caption_model`` calls it.
        keys: tensors that it has.
        lacks: tensors that it has not.
        sketch: puts it together.
    """

    word: str
    keys: tuple[str, ...]
    lacks: tuple[str, ...]
    sketch: Callable[[Sketch], str]


def show_tell(sketch: Sketch) -> str:
    """Vinyals et al. 2015 (https://arxiv.org/abs/1411.4555): the picture is the first input of
    layers without bias.
    """
    top = sketch.source.get("core.weight_hh_l0", np.zeros((4, 1)))
    cell = _FUSED.get(len(top) // top.shape[1])
    if cell is None:
        raise CheckpointError(
            f"{sketch.origin} has core.weight_hh_l0 {list(top.shape)}, expected the rows of an "
            "LSTM, a GRU or a plain layer"
        )
    blocks = [
        [name for part in _PARTS if (name := f"core.{part}_l{layer}") in sketch.source]
        for layer in _layers(sketch)
    ]
    word = sketch.word("embed")
    core = sketch.recurrent("core", word, cell=cell, blocks=blocks)
    return _first_word(sketch, "img_embed", core, states="hc" if cell == "lstm" else "h")


def fc(sketch: Sketch) -> str:
    """As ``show_tell``, with the maxout cell: Rennie et al. 2017, FC model."""
    core = _maxout(sketch, "core", sketch.word("embed"))
    return _first_word(sketch, "img_embed", core)


def newfc(sketch: Sketch) -> str:
    """As ``fc``; upstream finds the first step by a state of zeros."""
    core = _maxout(sketch, "_core", sketch.word("embed"))
    return _first_word(sketch, "fc_embed", core)


def att2in2(sketch: Sketch) -> str:
    """Rennie et al. 2017, Att2in: attention by the state before; the context enters the candidate
    of the maxout cell alone.
    """
    return _att2in(sketch, _regions(sketch), sketch.word("embed.0", relu=True))


def att2in(sketch: Sketch) -> str:
    """As ``att2in2``, over the features as they are."""
    width = sketch.take("ctx2att.weight", ndim=2).shape[1]
    regions = sketch.see(_ATT, regions=sketch.regions, att_width=width)
    return _att2in(sketch, regions, sketch.word("embed"))


def updown(sketch: Sketch) -> str:
    """Anderson et al. 2018 (https://arxiv.org/abs/1707.07998): one LSTM looks, the other speaks."""
    width = sketch.take("fc_embed.0.weight", ndim=2).shape[1]
    given = sketch.see(_FC, fc_width=width)
    sketch.contexts["fc_features"] = sketch.linear(
        "encode", "fc_embed", given, "fc_embed.0", activation="relu"
    )
    _attended(sketch, _regions(sketch))
    word = sketch.word("embed.0", relu=True)
    past = sketch.add("layers", "past", "before", layer="lang_lstm", state="h")
    heard = sketch.add("layers", "heard", "concat", past, "fc_features", word)
    blocks = {
        name: [[f"core.{name}.{part}" for part in _PARTS]] for name in ("att_lstm", "lang_lstm")
    }
    looking = sketch.recurrent("att_lstm", heard, cell="lstm", blocks=blocks["att_lstm"])
    look = _look(sketch, looking)
    told = sketch.add("layers", "told", "concat", look, looking)
    return sketch.recurrent("lang_lstm", told, cell="lstm", blocks=blocks["lang_lstm"])


def scores(sketch: Sketch, top: str) -> str:
    """Add the layers from the top state to log-probabilities, as upstream gives them; one linear
    layer, or several with rectifiers between them.
    """
    if "logit.weight" in sketch.source:
        prefixes = ["logit"]
    else:
        names = (name.split(".") for name in sketch.source if name.startswith("logit."))
        places = sorted({int(parts[1]) for parts in names if parts[1].isdigit()})
        prefixes = [f"logit.{place}" for place in places] or ["logit"]
    for place, prefix in enumerate(prefixes[:-1]):
        top = sketch.linear("layers", f"logit{place}", top, prefix, activation="relu")
    logit = sketch.linear("layers", "logit", top, prefixes[-1], width=VOCAB)
    return sketch.add("layers", "log_probs", "activation", logit, function="log_softmax")


def _layers(sketch: Sketch) -> Iterator[int]:
    layer = 0
    while not layer or f"core.weight_ih_l{layer}" in sketch.source:
        yield layer
        layer += 1


def _maxout(sketch: Sketch, prefix: str, *inputs: str) -> str:
    names = (f"{prefix}.i2h.weight", f"{prefix}.h2h.weight", f"{prefix}.i2h.bias")
    return sketch.recurrent(
        "core", *inputs, cell="lstm_maxout", blocks=[[*names, f"{prefix}.h2h.bias"]]
    )


def _first_word(sketch: Sketch, prefix: str, core: str, *, states: str = "hc") -> str:
    """Run ``core`` over the embedded picture before the first word."""
    given = sketch.see(_FC, fc_width=sketch.take(f"{prefix}.weight", ndim=2).shape[1])
    picture = sketch.linear("encode", "picture", given, prefix)
    sketch.add("encode", "begin", "run", picture, layer=core)
    sketch.first = {state: f"begin.{state}" for state in states}
    return core


def _regions(sketch: Sketch) -> str:
    """Add the embedding of the regions: normalised before and after it where upstream does so."""
    normalised = "att_embed.0.running_mean" in sketch.source
    prefix = "att_embed.1" if normalised else "att_embed.0"
    width = sketch.take(f"{prefix}.weight", ndim=2).shape[1]
    value = sketch.see(_ATT, regions=sketch.regions, att_width=width)
    if normalised:
        value = _normalised(sketch, "att_norm", value, "att_embed.0")
    value = sketch.linear("encode", "att_embed", value, prefix, activation="relu")
    if "att_embed.4.running_mean" in sketch.source:
        value = _normalised(sketch, "att_norm_after", value, "att_embed.4")
    return value


def _normalised(sketch: Sketch, name: str, value: str, prefix: str) -> str:
    for part in ("weight", "bias", "running_mean", "running_var"):
        sketch.tensors[f"encode.{name}.{part}"] = sketch.take(f"{prefix}.{part}", ndim=1)
    return sketch.add("encode", name, "normalise", value)


def _attended(sketch: Sketch, regions: str) -> None:
    keys = sketch.linear("encode", "region_keys", regions, "ctx2att")
    sketch.contexts |= {FEATURES: regions, KEYS: keys}


def _look(sketch: Sketch, query: str) -> str:
    prefixes = ("core.attention.h2att", "core.attention.alpha_net")
    return sketch.attention(query, prefixes, activation="tanh")


def _att2in(sketch: Sketch, regions: str, word: str) -> str:
    _attended(sketch, regions)
    past = sketch.add("layers", "past", "before", layer="core", state="h")
    look = _look(sketch, past)
    weight, bias = sketch.take("core.a2c.weight", ndim=2), sketch.take("core.a2c.bias", ndim=1)
    rows = len(weight) // 2 * _MAXOUT  # of the gates i, f and o it adds to none
    for part, own in (("weight", weight), ("bias", bias)):
        before = np.zeros((rows - len(own), *own.shape[1:]), own.dtype)
        sketch.tensors[f"layers.candidate.{part}"] = np.concatenate([before, own])
    candidate = sketch.add("layers", "candidate", "linear", look, width=rows)
    return _maxout(sketch, "core", word, candidate)


FORMS = (
    Form("updown", ("core.att_lstm.weight_ih", "core.lang_lstm.weight_ih"), (), updown),
    Form("att2in2", ("core.a2c.weight", "core.i2h.weight", "embed.0.weight"), (), att2in2),
    Form("att2in", ("core.a2c.weight", "core.i2h.weight", "embed.weight"), (), att2in),
    Form("newfc", ("_core.i2h.weight", "fc_embed.weight"), (), newfc),
    Form("fc", ("core.i2h.weight", "img_embed.weight"), ("core.a2c.weight",), fc),
    Form("show_tell", ("core.weight_ih_l0", "img_embed.weight", "embed.weight"), (), show_tell),
)
