"""karpathy/char-rnn: an LSTM, GRU or RNN over bytes, one-hot, in a graph of one step."""

from __future__ import annotations

import numpy as np

from edgernn.containers.content import Stub
from edgernn.errors import CheckpointError
from edgernn.importers.base import BY_CLASS, Imported, Importer, Match, Opened
from edgernn.importers.grammar.assemble import assemble
from edgernn.importers.grammar.blocks import Matrix
from edgernn.importers.grammar.chain import Chain
from edgernn.importers.torch7.steps import read_step
from edgernn.importers.vocabularies.finding import find_vocabulary
from edgernn.importers.vocabularies.tokenizing import tokenizer_of

_ONE_HOT = (
    "each character is a one-hot vector, kept as a table of vectors; its forward gives the "
    "log_softmax of the logits, which no choice of a character sees"
)
_SEED = (
    "without a first character upstream begins with a uniform guess; here a text begins as every "
    "other, after a line's end where the vocabulary has it"
)


class Torch7CharRnn(Importer):
    """``{protos = {rnn = nn.gModule, …}, vocab, opt, …}``."""

    word = "torch7-char-rnn"
    about = "a character model of karpathy/char-rnn"

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        tree = opened.content.tree
        protos = tree.get("protos") if isinstance(tree, dict) else None
        core = protos.get("rnn") if isinstance(protos, dict) else None
        if not isinstance(core, Stub) or core.name != "nn.gModule" or "vocab" not in tree:
            return None
        return Match(BY_CLASS, "it has protos.rnn, a graph of one step, and a vocab")

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        tree = opened.content.tree
        step = read_step(tree["protos"]["rnn"])
        rows = step.head.rows
        if step.stack.inputs != rows:
            raise CheckpointError(
                f"its first layer takes {step.stack.inputs} numbers and {rows} scores come out; "
                "expected a one-hot vector of as many characters"
            )
        table = Matrix("one_hot", np.eye(rows, dtype=np.float32), None, "embedding")
        given = opened.wishes.vocabulary
        own = tree["vocab"]  # character → id from 1
        vocabulary = find_vocabulary(given or own, size=rows, base=0 if given else 1)
        told = (_ONE_HOT, _SEED, *vocabulary.told)
        chain = Chain(table, (step.stack, step.head), told).checked()
        return assemble(chain, tokenizer_of(vocabulary, "bytes"))
