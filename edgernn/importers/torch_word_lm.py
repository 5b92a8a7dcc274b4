"""pytorch/examples' word_language_model: LSTM, GRU and RNN of tanh or relu, tied or not.

Its checkpoint is the whole model as an object, without its vocabulary, which is that of the corpus
that it was trained on.
"""

from __future__ import annotations

from edgernn.importers.grammar.language import LanguageImporter, Names


class TorchWordLanguageModel(LanguageImporter):
    """``model.RNNModel``; ids in the order of first appearance over train, valid and test."""

    word = "word-lm"
    about = "a word language model of pytorch/examples"
    options = "--vocabulary CORPUS"
    names = (Names("encoder", "rnn", "decoder"),)
    classes = ("model.RNNModel",)
    differs = (
        "its forward gives the log_softmax of the logits; the logits differ from that by one "
        "number a time step, which no choice of a word sees",
    )
