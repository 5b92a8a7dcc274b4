"""The table of importers: what ``--family`` takes, and where each is. A new family is one row.

Rows hold strings, so reading the names imports nothing.
"""

from __future__ import annotations

import importlib

from edgernn.errors import UsageError
from edgernn.importers.base import Importer
from edgernn.wording import expected_one_of

IMPORTERS: dict[str, str] = {
    "word-lm": "edgernn.importers.torch_word_lm:TorchWordLanguageModel",
    "char-rnn": "edgernn.importers.char_rnn:CharRnn",
    "awd-lstm": "edgernn.importers.awd_lstm:AwdLstm",
    "fastai": "edgernn.importers.fastai:FastaiLanguageModel",
    "icefall-rnn-lm": "edgernn.importers.icefall:IcefallRnnLm",
    "yunjey-lm": "edgernn.importers.yunjey_lm:YunjeyLanguageModel",
    "torch7-char-rnn": "edgernn.importers.torch7.char_rnn:Torch7CharRnn",
    "torch-rnn": "edgernn.importers.torch7.torch_rnn:TorchRnn",
    "neuraltalk2": "edgernn.importers.torch7.neuraltalk2:NeuralTalk2",
    "keras": "edgernn.importers.keras.importer:KerasImporter",
    "nam": "edgernn.importers.nam:NeuralAmpModeler",
    "rtneural": "edgernn.importers.rtneural:RTNeural",
    "madmom": "edgernn.importers.madmom:Madmom",
    "recurrent-ppo": "edgernn.importers.recurrent_ppo:RecurrentPpo",
    "yunjey": "edgernn.importers.yunjey:YunjeyCaptioner",
    "sgrvinod": "edgernn.importers.sgrvinod:SgrvinodCaptioner",
    "ruotianluo": "edgernn.importers.ruotianluo:RuotianluoCaptioner",
    "plain": "edgernn.importers.plain:PlainStateDict",
}


def importer_of(word: str) -> Importer:
    """Return the importer of a row; raise UsageError naming the known families."""
    if word not in IMPORTERS:
        raise UsageError(f"unknown family {word!r}; {expected_one_of(word, IMPORTERS)}")
    module, _, name = IMPORTERS[word].partition(":")
    found: Importer = getattr(importlib.import_module(module), name)()
    return found


def importers() -> tuple[Importer, ...]:
    """Return every importer of the table."""
    return tuple(map(importer_of, IMPORTERS))
