"""karpathy/neuraltalk2, its language half: the features of a picture are the first input of an
LSTM, then START, then words.

The checkpoint is ``{protos = {cnn, lm = nn.LanguageModel{core, lookup_table, …}}, vocab, opt}``.
The picture encoder is VGG-16 of Caffe with a linear layer and a rectifier; features are what it
gives.
Upstream counts words from 1 and has START and END behind them, one id for both; here each id is one
less.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.containers.content import Stub
from edgernn.contract import Decoding
from edgernn.errors import CheckpointError
from edgernn.families.step import VOCAB
from edgernn.importers.base import BY_CLASS, Imported, Importer, Match, Opened
from edgernn.importers.captioning import CaptionerSketch, words_of
from edgernn.importers.torch7.graph import matrix_of
from edgernn.importers.torch7.steps import Step, read_step

_LONGEST = 16  # words, upstream's own
_PICTURES = (
    "the picture encoder is left out: features are what protos.cnn gives, after its last rectifier"
)
_IDS = "upstream counts ids from 1, here each is one less; the last one is START and END"


class NeuralTalk2(Importer):
    """See the module's docstring."""

    word = "neuraltalk2"
    about = "a captioner of karpathy/neuraltalk2, its language half"

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``; torch-rnn's class of the same name has no ``core``."""
        if _language_half(opened.content.tree) is None:
            return None
        return Match(BY_CLASS, "it has protos.lm, an nn.LanguageModel with a core")

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        model = _language_half(opened.content.tree)
        assert model is not None
        core, table = model.attributes["core"], model.attributes.get("lookup_table")
        if not isinstance(core, Stub) or not isinstance(table, Stub):
            raise CheckpointError("its language half has no core or no lookup_table; it is damaged")
        step = read_step(core)
        vectors = matrix_of(table, "lookup_table").weight  # [V + 1, E]
        if step.head.rows != len(vectors):
            raise CheckpointError(
                f"its lookup_table has {len(vectors)} rows, and {step.head.rows} scores come out; "
                "expected as many"
            )
        sketch = CaptionerSketch(_named(step, vectors), opened.content.path)
        logits = _sketched(sketch, step)
        end = len(vectors) - 1
        given = opened.wishes.vocabulary or _words(opened.content.tree.get("vocab"))
        tokenizer, _, told = words_of(
            given, size=end + 1, specials={"end": end}, added={end: "<end>"}
        )
        length = model.attributes.get("seq_length")
        length = length if isinstance(length, int) and length > 0 else _LONGEST
        decoding = Decoding(start=(end,), stop=(end,), temperature=0.0, length=length)
        config = sketch.captioner(decoding, logits)
        return Imported(config, sketch.tensors, tokenizer, (_PICTURES, _IDS, *told))


def _language_half(tree: Any) -> Stub | None:
    protos = tree.get("protos") if isinstance(tree, dict) else None
    found = protos.get("lm") if isinstance(protos, dict) else None
    mine = isinstance(found, Stub) and found.name == "nn.LanguageModel"
    return found if mine and isinstance(found, Stub) and "core" in found.attributes else None


def _words(vocabulary: Any) -> Mapping[int, str] | None:
    """Return id → word from 0 of upstream's numbers from 1, which it writes as texts."""
    if not isinstance(vocabulary, dict):
        return None
    try:
        return {int(number) - 1: word for number, word in vocabulary.items()}
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"its vocab has a number that is none ({error})") from error


def _named(step: Step, vectors: np.ndarray) -> dict[str, np.ndarray]:
    """Return the tensors by names of ours."""
    named = {"embed.weight": vectors, "logit.weight": step.head.weight}
    if step.head.bias is not None:
        named["logit.bias"] = step.head.bias
    for place, layer in enumerate(step.stack.layers):
        for part in ("w_ih", "w_hh", "b_ih", "b_hh"):
            if (array := getattr(layer, part)) is not None:
                named[f"core.{place}.{part}"] = array
    return named


def _sketched(sketch: CaptionerSketch, step: Step) -> str:
    """Put the network together; return the name of its scores."""
    cells = {layer.cell for layer in step.stack.layers}
    if cells != {"lstm"}:
        raise CheckpointError(f"its core is made of {', '.join(sorted(cells))}, expected an LSTM")
    word = sketch.word("embed")
    blocks = [
        [f"core.{place}.{part}" for part in ("w_ih", "w_hh", "b_ih", "b_hh")]
        for place in range(len(step.stack.layers))
    ]
    core = sketch.recurrent_of(blocks, "core", "lstm", word)
    seen = sketch.takes_features("features", feature_width=step.stack.inputs)
    sketch.add("run", "looked", seen, graph="encode", layer=core)
    sketch.first = {"h": "looked.h", "c": "looked.c"}
    return sketch.linear_of("logit", "logit", core, width=VOCAB)
