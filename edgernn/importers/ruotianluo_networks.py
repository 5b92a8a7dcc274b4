"""The captioners of ruotianluo/ImageCaptioning.pytorch as networks of layers, one function each.

Equations are those of its ``captioning/models``; the maxout cell is ``LSTMCore`` of ``FCModel.py``.
Each function puts its network into a sketch and returns the name of the top layer's value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgernn.errors import CheckpointError
from edgernn.families.step import VOCAB
from edgernn.importers.captioning import FEATURES, KEYS, PARTS, CaptionerSketch

_FC, _ATT = "fc", "att"  # as upstream calls its features
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
    sketch: Callable[[CaptionerSketch], str]


def show_tell(sketch: CaptionerSketch) -> str:
    """Vinyals et al. 2015 (https://arxiv.org/abs/1411.4555): the picture is the first input of
    layers without bias.
    """
    top = sketch.source.get("core.weight_hh_l0", np.zeros((4, 1)))
    cell = _FUSED.get(len(top) // top.shape[1])
    if cell is None:
        raise CheckpointError(
            f"{sketch.path} has core.weight_hh_l0 {list(top.shape)}, expected the rows of an "
            "LSTM, a GRU or a plain layer"
        )
    blocks = sketch.layers_of("core", biases="core.bias_ih_l0" in sketch.source)
    word = sketch.word("embed")
    core = sketch.recurrent_of(blocks, "core", cell, word)
    return _first_word(sketch, "img_embed", core, states="hc" if cell == "lstm" else "h")


def fc(sketch: CaptionerSketch) -> str:
    """As ``show_tell``, with the maxout cell: Rennie et al. 2017, FC model."""
    core = _maxout(sketch, "core", sketch.word("embed"))
    return _first_word(sketch, "img_embed", core)


def newfc(sketch: CaptionerSketch) -> str:
    """As ``fc``; upstream finds the first step by a state of zeros."""
    core = _maxout(sketch, "_core", sketch.word("embed"))
    return _first_word(sketch, "fc_embed", core)


def att2in2(sketch: CaptionerSketch) -> str:
    """Rennie et al. 2017, Att2in: attention by the state before; the context enters the candidate
    of the maxout cell alone.
    """
    return _att2in(sketch, _regions(sketch), sketch.word("embed.0", relu=True))


def att2in(sketch: CaptionerSketch) -> str:
    """As ``att2in2``, over the features as they are."""
    width = sketch.take("ctx2att.weight", ndim=2).shape[1]
    regions = sketch.takes_features(_ATT, regions=sketch.regions, att_width=width)
    return _att2in(sketch, regions, sketch.word("embed"))


def updown(sketch: CaptionerSketch) -> str:
    """Anderson et al. 2018 (https://arxiv.org/abs/1707.07998): one LSTM looks, the other speaks."""
    width = sketch.take("fc_embed.0.weight", ndim=2).shape[1]
    given = sketch.takes_features(_FC, fc_width=width)
    sketch.contexts["fc_features"] = sketch.linear_of(
        "fc_embed.0", "fc_embed", given, graph="encode", activation="relu"
    )
    _attended(sketch, _regions(sketch))
    word = sketch.word("embed.0", relu=True)
    past = sketch.add("before", "past", layer="lang_lstm", state="h")
    heard = sketch.add("concat", "heard", past, "fc_features", word)
    looking = _lstm(sketch, "att_lstm", heard)
    look = _look(sketch, looking)
    told = sketch.add("concat", "told", look, looking)
    return _lstm(sketch, "lang_lstm", told)


def scores(sketch: CaptionerSketch, top: str) -> str:
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
        top = sketch.linear_of(prefix, f"logit{place}", top, activation="relu")
    logit = sketch.linear_of(prefixes[-1], "logit", top, width=VOCAB)
    return sketch.add("activation", "log_probs", logit, function="log_softmax")


def _lstm(sketch: CaptionerSketch, name: str, taken: str) -> str:
    parts = [f"core.{name}.{part}" for part in PARTS]
    return sketch.recurrent_of([parts], name, "lstm", taken)


def _maxout(sketch: CaptionerSketch, prefix: str, *inputs: str) -> str:
    names = (f"{prefix}.i2h.weight", f"{prefix}.h2h.weight", f"{prefix}.i2h.bias")
    return sketch.recurrent_of([[*names, f"{prefix}.h2h.bias"]], "core", "lstm_maxout", *inputs)


def _first_word(sketch: CaptionerSketch, prefix: str, core: str, *, states: str = "hc") -> str:
    """Run ``core`` over the embedded picture before the first word."""
    given = sketch.takes_features(_FC, fc_width=sketch.take(f"{prefix}.weight", ndim=2).shape[1])
    picture = sketch.linear_of(prefix, "picture", given, graph="encode")
    sketch.add("run", "begin", picture, graph="encode", layer=core)
    sketch.first = {state: f"begin.{state}" for state in states}
    return core


def _regions(sketch: CaptionerSketch) -> str:
    """Add the embedding of the regions: normalised before and after it where upstream does so."""
    normalised = "att_embed.0.running_mean" in sketch.source
    prefix = "att_embed.1" if normalised else "att_embed.0"
    width = sketch.take(f"{prefix}.weight", ndim=2).shape[1]
    value = sketch.takes_features(_ATT, regions=sketch.regions, att_width=width)
    if normalised:
        value = sketch.normalised("att_embed.0", "att_norm", value)
    value = sketch.linear_of(prefix, "att_embed", value, graph="encode", activation="relu")
    if "att_embed.4.running_mean" in sketch.source:
        value = sketch.normalised("att_embed.4", "att_norm_after", value)
    return value


def _attended(sketch: CaptionerSketch, regions: str) -> None:
    keys = sketch.linear_of("ctx2att", "region_keys", regions, graph="encode")
    sketch.contexts |= {FEATURES: regions, KEYS: keys}


def _look(sketch: CaptionerSketch, query: str) -> str:
    prefixes = ("core.attention.h2att", "core.attention.alpha_net")
    return sketch.attention(query, prefixes, activation="tanh")


def _att2in(sketch: CaptionerSketch, regions: str, word: str) -> str:
    _attended(sketch, regions)
    past = sketch.add("before", "past", layer="core", state="h")
    look = _look(sketch, past)
    weight, bias = sketch.take("core.a2c.weight", ndim=2), sketch.take("core.a2c.bias", ndim=1)
    rows = len(weight) // 2 * _MAXOUT  # of the gates i, f and o it adds to none
    weight, bias = (
        np.concatenate([np.zeros((rows - len(own), *own.shape[1:]), own.dtype), own])
        for own in (weight, bias)
    )
    candidate = sketch.linear("candidate", look, weight, bias)
    return _maxout(sketch, "core", word, candidate)


FORMS = (
    Form("updown", ("core.att_lstm.weight_ih", "core.lang_lstm.weight_ih"), (), updown),
    Form("att2in2", ("core.a2c.weight", "core.i2h.weight", "embed.0.weight"), (), att2in2),
    Form("att2in", ("core.a2c.weight", "core.i2h.weight", "embed.weight"), (), att2in),
    Form("newfc", ("_core.i2h.weight", "fc_embed.weight"), (), newfc),
    Form("fc", ("core.i2h.weight", "img_embed.weight"), ("core.a2c.weight",), fc),
    Form("show_tell", ("core.weight_ih_l0", "img_embed.weight", "embed.weight"), (), show_tell),
)
