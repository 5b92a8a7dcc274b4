"""yunjey/pytorch-tutorial's language_model: an embedding, an LSTM, a linear layer.

Its checkpoint is a state dict, without its vocabulary, which is that of the one file that it was
trained on.
"""

from __future__ import annotations

from edgernn.importers.base import Match, Opened
from edgernn.importers.grammar.language import LanguageImporter, Names


class YunjeyLanguageModel(LanguageImporter):
    """``RNNLM``; the decoder of the same tutorial's captioner has the same names, and an encoder
    beside it.
    """

    word = "yunjey-lm"
    about = "a word language model of yunjey/pytorch-tutorial"
    options = "--vocabulary train.txt"
    names = (Names("embed", "lstm", "linear"),)
    classes = ("__main__.RNNLM",)

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        return None if opened.companions else super().match(opened)
