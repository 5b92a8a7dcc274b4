"""fastai's AWD_LSTM language models (ULMFiT, Howard & Ruder 2018) of its versions 0.7, 1 and 2.

A file is a state dict, alone or as ``model`` beside the optimiser's state; its words lie in another
(``itos_….pkl``). The matrix that was learned is ``weight_hh_l0_raw``: in files of version 1 a
dropped and rescaled draw of it may stand beside it.
"""

from __future__ import annotations

from typing import ClassVar

from edgernn.errors import CheckpointError
from edgernn.importers.base import Opened
from edgernn.importers.grammar.language import LanguageImporter, Names
from edgernn.importers.grammar.network import Network

_CLASSIFIER = "1.layers"


def _within(prefix: str) -> tuple[str, ...]:
    """Return the further names of the table in an encoder, of version 1 and 2 and of 0.7."""
    return f"{prefix}encoder_dp.emb", f"{prefix}encoder_with_dropout.embed"


class FastaiLanguageModel(LanguageImporter):
    """A ``SequentialRNN`` of an encoder and a decoder, or the encoder alone."""

    word = "fastai"
    about = "an AWD_LSTM language model of fastai"
    options = "--vocabulary ITOS.pkl"
    names = (
        Names("0.encoder", "0.rnns.*", "1.decoder", _within("0.")),
        Names("0.module.encoder", "0.module.rnns.*", _CLASSIFIER, _within("0.module.")),
        Names("0.encoder", "0.rnns.*", _CLASSIFIER, _within("0.")),
        Names("encoder", "rnns.*", "", _within("")),
    )
    differs = (
        "fastai's tokenizer splits punctuation off and writes marks as xxbos and xxmaj into a "
        "text; here words stand between spaces, so a text has to come as that tokenizer leaves it",
    )
    expected: ClassVar = {"xxunk": 0, "xxpad": 1}

    def check(self, opened: Opened, found: Network) -> None:
        """Refuse the classifier, and quasi-recurrent layers."""
        if any(name.startswith(f"{_CLASSIFIER}.") for name in found.tensors):
            raise CheckpointError(
                f"it is a text classifier of fastai: its head ({_CLASSIFIER}) pools over a whole "
                "text, so it has no step that runs as its input comes; expected a language model, "
                "whose head is 1.decoder"
            )
        if any(".linear." in name for name in found.tensors if ".rnns." in f".{name}"):
            raise CheckpointError(
                "the layers are quasi-recurrent (QRNN): convolutions with a pooling that no cell "
                "here computes; expected LSTM layers"
            )
