"""salesforce/awd-lstm-lm: LSTM or GRU layers of different widths with weight dropping (Merity et
al. 2018).

Its checkpoint is a list of three objects, the model, its loss and its optimiser; an early one is
the model alone. Where weights were dropped, the matrix that was learned is ``weight_hh_l0_raw``.
"""

from __future__ import annotations

from edgernn.errors import CheckpointError
from edgernn.importers.base import Opened
from edgernn.importers.grammar.language import LanguageImporter, Names
from edgernn.importers.grammar.network import Network

_TAILS = ("tail_vectors", "tail_bias")


class AwdLstm(LanguageImporter):
    """``model.RNNModel`` whose layers are a list."""

    word = "awd-lstm"
    about = "a word language model of salesforce/awd-lstm-lm"
    options = "--vocabulary CORPUS"
    names = (Names("encoder", "rnns.*", "decoder"),)
    classes = ("model.RNNModel",)
    differs = (
        "its forward ends before the decoder, which its loss applies; here the step gives the "
        "decoder's logits",
    )

    def check(self, opened: Opened, found: Network) -> None:
        """Refuse quasi-recurrent layers, and a loss that shares in the distribution."""
        if any(".linear." in name for name in found.tensors if name.startswith("rnns.")):
            raise CheckpointError(
                "the layers are quasi-recurrent (QRNN): convolutions with a pooling that no cell "
                "here computes; expected LSTM or GRU layers"
            )
        tails = [name for name in opened.tensors if name.rpartition(".")[2] in _TAILS]
        if tails:
            raise CheckpointError(
                f"the loss has {tails[0]}: words beyond its splits are scored in two steps "
                "(SplitCrossEntropyLoss), so the decoder's logits are not the model's scores; "
                "expected a model whose loss has one split, up to 75,000 words"
            )
