"""spro/char-rnn.pytorch: a GRU or LSTM over the 100 characters of Python's ``string.printable``."""

from __future__ import annotations

import string

from edgernn.importers.base import BY_CLASS, Match, Opened
from edgernn.importers.grammar.language import LanguageImporter, Names


class CharRnn(LanguageImporter):
    """``model.CharRNN``; its tensors are called as those of pytorch/examples, so without its class
    the 100 rows tell it.
    """

    word = "char-rnn"
    about = "a character model of spro/char-rnn.pytorch"
    names = (Names("encoder", "rnn", "decoder"),)
    classes = ("model.CharRNN",)
    differs = (
        "upstream rewrites a text by unidecode before it reads it, as é to e; here the text is "
        "read as it is",
    )
    order = "printable"
    tokens = "characters"

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        found = super().match(opened)
        rows = [array.shape[:1] for name, array in opened.tensors.items() if _is_table(name)]
        of_characters = (len(string.printable),) in rows
        return found if found and (found.sureness == BY_CLASS or of_characters) else None


def _is_table(name: str) -> bool:
    return f".{name}".endswith(".encoder.weight")
