"""k2-fsa/icefall's RNN LM: an embedding, LSTM layers, a linear layer, over pieces of words."""

from __future__ import annotations

from edgernn.importers.grammar.language import LanguageImporter, Names


class IcefallRnnLm(LanguageImporter):
    """``RnnLmModel`` of ``rnn_lm/model.py``; files hold its state dict as ``model``."""

    word = "icefall-rnn-lm"
    about = "an RNN language model of k2-fsa/icefall"
    options = "--vocabulary tokenizer.json"
    names = (Names("input_embedding", "rnn", "output_linear"),)
    classes = ("model.RnnLmModel", "rnn_lm.model.RnnLmModel", "icefall.rnn_lm.model.RnnLmModel")
    differs = (
        "its forward gives the loss of each token; here the step gives the logits that it is of",
        "it was trained on sentences that begin and end with the id 1 (<sos/eos>)",
    )
