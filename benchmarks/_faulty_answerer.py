"""A tiny answerer of questions about pictures, made without training, and questions that it never
saw.
"""

from __future__ import annotations

import numpy as np
import torch

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.layered.network import Network
from edgernn.training.ask_network import AskModel, ask_network

_WORDS = "what colour is the small star"
_QUESTIONS, _SIDE, _LONGEST = 24, 32, 6


def answerer_checkpoint(**model: object) -> Checkpoint:
    """Return an answerer whose keys are as wide as its values, so that they could be taken for one
    another.
    """
    tokenizer, drawn = (
        Tokenizer.build([_WORDS], "caption", minimum_count=1),
        np.random.default_rng(2),
    )
    vocabulary = tokenizer.vocabulary_size
    own = {"image_size": _SIDE, "hidden": 12, "embedding": 6, "keys": 8, "values": 8, **model}
    config = ask_network(
        AskModel.model_validate(own), vocabulary=vocabulary, answers=("blue", "no", "red")
    )
    torch.manual_seed(3)
    network = Network(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    sample = {
        "image": drawn.integers(0, 256, (_QUESTIONS, _SIDE, _SIDE, 3), np.uint8),
        "tokens": drawn.integers(4, vocabulary, (_QUESTIONS, _LONGEST)),
        "lengths": drawn.integers(3, _LONGEST + 1, _QUESTIONS),
        "target": drawn.integers(0, 3, _QUESTIONS),
    }
    return Checkpoint(network, tokenizer, {}, sample)
