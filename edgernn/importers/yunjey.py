"""yunjey/pytorch-tutorial's image_captioning: the picture is the first input of an LSTM.

A checkpoint is two state dicts, of ``DecoderRNN`` and of ``EncoderCNN``; the second is a companion,
without which features are what encode is given. Upstream's ``sample`` decodes: always 20 steps, the
first of which sees the picture in place of a word, and nothing stops it.
"""

from __future__ import annotations

import numpy as np

from edgernn.containers.content import Content, Stub
from edgernn.containers.walk import tensors
from edgernn.contract import Decoding
from edgernn.families.step import VOCAB
from edgernn.importers.base import BY_CLASS, BY_KEYS, Imported, Importer, Match, Opened
from edgernn.importers.captioning import CaptionerSketch, words_of
from edgernn.importers.picture_encoders import picture_encoder
from edgernn.importers.vocabularies.finding import find_vocabulary

_STEPS = 20  # of sample()
_SPECIALS = {"pad": 0, "start": 1, "end": 2, "unknown": 3}
_EXPECTED = {"<pad>": 0, "<start>": 1, "<end>": 2, "<unk>": 3}
_KEYS = frozenset({"embed.weight", "linear.weight", "linear.bias", "lstm.weight_ih_l0"})
_ENCODER = frozenset({"linear.weight", "linear.bias", "bn.weight", "bn.running_mean"})
_PICTURE = 224  # pixels a side
_FIRST = (
    "the first step sees the picture and not the word that it is fed, as upstream's sample() does: "
    "a trained decoder writes <start> there, and a held-out caption begins with <start> twice"
)
_NO_ENCODER = (
    "the encoder was not given: features are what EncoderCNN gives; give its file with --with for "
    "pictures"
)
_SMALL_ENCODER = "the encoder beside it is no ResNet-152, so features are what it gives"


class YunjeyCaptioner(Importer):
    """``DecoderRNN``, and ``EncoderCNN`` where it is given."""

    word = "yunjey"
    about = "a captioner of yunjey/pytorch-tutorial"
    options = "--vocabulary vocab.pkl --with ENCODER"

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``; a language model of the same tutorial has the same tensors."""
        names = opened.tensors.keys()
        if not names >= _KEYS or any(not _is_own(name) for name in names):
            return None
        why = "its tensors are those of DecoderRNN: embed, lstm and linear"
        if _encoder(opened) or any(_is_vocabulary(content) for content in opened.companions):
            return Match(BY_CLASS, f"{why}, and what belongs to a captioner is beside it")
        if opened.wishes.vocabulary is None:
            return Match(BY_KEYS, why)
        ids = find_vocabulary(opened.wishes.vocabulary).ids
        if not {"<start>", "<end>"} <= ids.keys():
            return None
        return Match(BY_CLASS, f"{why}, and its vocabulary has <start> and <end>")

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        sketch = CaptionerSketch(opened.tensors, opened.content.path)
        logits, told = _sketch(sketch, _encoder(opened))
        given = opened.wishes.vocabulary or next(
            (c.path for c in opened.companions if _is_vocabulary(c)), None
        )
        size = sketch.sizes[VOCAB]
        tokenizer, special, words = words_of(
            given, size=size, specials=_SPECIALS, expected=_EXPECTED
        )
        start = min(special.start or 0, size - 1)
        decoding = Decoding(start=(start,), temperature=0.0, length=_STEPS)
        return Imported(
            sketch.captioner(decoding, logits),
            sketch.tensors,
            tokenizer,
            (_FIRST, told, *words, *sketch.unused()),
        )


def _is_own(name: str) -> bool:
    return name.partition(".")[0] in {"embed", "lstm", "linear"}


def _encoder(opened: Opened) -> dict[str, np.ndarray]:
    """Return the tensors of the encoder; nothing where it was not given."""
    for content in opened.companions:
        found = tensors(content)
        if found.keys() >= _ENCODER:
            return found
    return {}


def _is_vocabulary(content: Content) -> bool:
    return isinstance(content.tree, Stub) and "word2idx" in content.tree.attributes


def _sketch(sketch: CaptionerSketch, encoder: dict[str, np.ndarray]) -> tuple[str, str]:
    """Put the network together; return the name of its scores, and what is told of the encoder."""
    width = sketch.take("embed.weight", ndim=2).shape[1]
    source, told = _seen(sketch, encoder, width)
    sketch.contexts["picture"] = source
    word = sketch.add("opening", "first", "picture", sketch.word("embed"))
    top = sketch.recurrent_of(sketch.layers_of("lstm"), "decoder", "lstm", word)
    return sketch.linear_of("linear", "head", top, width=VOCAB), told


def _seen(sketch: CaptionerSketch, encoder: dict[str, np.ndarray], width: int) -> tuple[str, str]:
    """Add what encode sees; return the name of the features ``[B, E]``."""
    if not encoder:
        return sketch.takes_features("features", feature_width=width), _NO_ENCODER
    regions = picture_encoder(sketch, encoder, "resnet.", encoder="resnet152", side=_PICTURE)
    if not regions:
        return sketch.takes_features("features", feature_width=width), _SMALL_ENCODER
    pooled = sketch.add("mean", "pooled", regions, graph="encode")
    beside = CaptionerSketch(encoder, sketch.path)
    weight, bias = beside.take("linear.weight", ndim=2), beside.take("linear.bias", ndim=1)
    embedded = sketch.linear("embed", pooled, weight, bias, graph="encode")
    parts = ("weight", "bias", "running_mean", "running_var")
    tensors = {part: beside.take(f"bn.{part}", ndim=1) for part in parts}
    return (
        sketch.add("normalise", "bn", embedded, graph="encode", tensors=tensors),
        f"pictures are stretched to {_PICTURE} pixels a side, as upstream's sample.py does",
    )
