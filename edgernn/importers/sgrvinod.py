"""sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning: soft attention with a gate, after Xu et al. 2015
(https://arxiv.org/abs/1502.03044).

One file of whole modules and optimisers. Its encoder is a ResNet-101 whose last maps are pooled to
14 × 14: it is taken where it is there, and encode is given a picture; else the regions.
"""

from __future__ import annotations

import numpy as np

from edgernn.containers.walk import plain_attributes
from edgernn.contract import Decoding
from edgernn.families.step import VOCAB
from edgernn.importers.base import BY_CLASS, BY_KEYS, Imported, Importer, Match, Opened
from edgernn.importers.captioning import (
    FEATURES,
    KEYS,
    PARTS,
    SETTINGS,
    CaptionerSketch,
    regions_of,
    words_of,
)
from edgernn.importers.picture_encoders import picture_encoder

_CELL = "decode_step.weight_ih"
_KEYS = ("attention.encoder_att.weight", "f_beta.weight", "init_h.weight", "fc.weight")
_CLASS = "DecoderWithAttention"
_MOST_SIDE = 64  # of the grid of regions
_SIDE = 14  # of upstream's own
_PICTURE = 256  # pixels a side
_FIRST = "resnet.0.weight"
_LONGEST = 50  # words, as caption.py writes at most
_REGIONS = (
    "the picture encoder is left out: regions are what its Encoder gives, as "
    "[N, 196, 2048], from a picture of 256 pixels in torchvision's normalisation"
)

_STRETCHED = f"pictures are stretched to {_PICTURE} pixels a side, as upstream's caption.py does"


class SgrvinodCaptioner(Importer):
    """``DecoderWithAttention``, which begins at the mean of the regions."""

    word = "sgrvinod"
    about = "an attention captioner of sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning"
    options = "--word-map WORDMAP.json"
    settings = SETTINGS

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        if any(stub.name.endswith(f".{_CLASS}") for stub in opened.modules.values()):
            return Match(BY_CLASS, f"it holds a {_CLASS}")
        if not _decoder(opened):
            return None
        return Match(BY_KEYS, f"it has {_CELL} and attention.encoder_att")

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        side = _side(opened)
        regions, open_told = regions_of(opened, side and side**2)
        sketch = CaptionerSketch(_decoder(opened), opened.content.path, regions)
        picture = _picture(sketch, opened, side or _SIDE)
        logits = _sketch(sketch, picture)
        seen = (_STRETCHED,) if picture else (_REGIONS, *open_told)
        size = sketch.sizes[VOCAB]
        tokenizer, special, told = words_of(
            opened.wishes.vocabulary,
            size=size,
            specials={"pad": 0, "unknown": size - 3, "start": size - 2, "end": size - 1},
            expected={"<pad>": 0, "<unk>": size - 3, "<start>": size - 2, "<end>": size - 1},
        )
        decoding = Decoding(
            start=(special.start or 0,),
            stop=(special.end or 0,),
            temperature=0.0,
            suppress=tuple(t for t in (special.pad, special.start) if t is not None),
            length=_LONGEST,
        )
        return Imported(
            sketch.captioner(decoding, logits),
            sketch.tensors,
            tokenizer,
            (*seen, *told, *sketch.unused()),
        )


def _side(opened: Opened) -> int | None:
    """Return the side of the grid of regions that its encoder gives, where it says so."""
    for stub in opened.modules.values():
        side = plain_attributes(stub).get("enc_image_size")
        if isinstance(side, int) and 0 < side <= _MOST_SIDE:
            return side
    return None


def _picture(sketch: CaptionerSketch, opened: Opened, side: int) -> str:
    """Add its picture encoder; return the name of the regions, nothing where it has none that is
    known.
    """
    first = next((name for name in opened.tensors if name.endswith(_FIRST)), "")
    if not first:
        return ""
    prefix = first.removesuffix(_FIRST) + "resnet."
    grid = picture_encoder(sketch, opened.tensors, prefix, encoder="resnet101", side=_PICTURE)
    return sketch.add("pool", "pooled", grid, graph="encode", side=side) if grid else ""


def _decoder(opened: Opened) -> dict[str, np.ndarray]:
    """Return the tensors of the decoder by their names in it; nothing where there is none."""
    for name in opened.tensors:
        before, found, _ = name.rpartition(_CELL)
        if found and all(f"{before}{key}" in opened.tensors for key in _KEYS):
            return {
                key.removeprefix(before): array
                for key, array in opened.tensors.items()
                if key.startswith(before)
            }
    return {}


def _sketch(sketch: CaptionerSketch, given: str) -> str:
    r"""Put the network together over the regions ``given``, if there are some; return the name of
    its scores::

    h_0, c_0 = W (Σ_i a_i / R) + b    z, α = attention(a, h)    β = σ(W_β h + b_β)
    h', c' = LSTM([embedding, β ⊙ z], h, c)    logits = W h' + b
    """
    width = sketch.take("attention.encoder_att.weight", ndim=2).shape[1]
    given = given or sketch.takes_features("regions", regions=sketch.regions, region_width=width)
    mean = sketch.add("mean", "mean", given, graph="encode")
    for state in ("h", "c"):
        sketch.first[state] = sketch.linear_of(
            f"init_{state}", f"first_{state}", mean, graph="encode"
        )
    keys = sketch.linear_of("attention.encoder_att", "region_keys", given, graph="encode")
    sketch.contexts = {FEATURES: given, KEYS: keys}
    word = sketch.word("embedding")
    before = sketch.add("before", "past", layer="decoder", state="h")
    look = sketch.attention(
        before, ("attention.decoder_att", "attention.full_att"), activation="relu"
    )
    gate = sketch.linear_of("f_beta", "gate", before, activation="sigmoid")
    gated = sketch.add("multiply", "gated", gate, look)
    joined = sketch.add("concat", "joined", word, gated)
    cell = [f"decode_step.{part}" for part in PARTS]
    top = sketch.recurrent_of([cell], "decoder", "lstm", joined)
    return sketch.linear_of("fc", "head", top, width=VOCAB)
