"""A tiny translator, made without training, and pairs of texts that it never saw."""

from __future__ import annotations

import numpy as np
import torch

from edgernn.data.pairs.pair_ids import END_ID, START_ID, padded, pair_decoding, pair_tokenizer
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.layered.network import Network
from edgernn.models.translator import TranslatorShape, translator_config

_TEXT = "abcdefgh 0123456789"
_PAIRS, _LONGEST = 24, 9


def translator_checkpoint(**shape: object) -> Checkpoint:
    """Return a translator whose encoder's directions are as wide as its embedding, so that they
    could be taken for one another.
    """
    tokenizer, random = pair_tokenizer([(_TEXT, "")]), np.random.default_rng(2)
    vocabulary = tokenizer.vocabulary_size
    own = {"hidden": 12, "encoder": 6, "embedding": 6, **shape}
    config = translator_config(
        TranslatorShape.model_validate(own), vocabulary, writes=pair_decoding(_LONGEST)
    )
    torch.manual_seed(3)
    network = Network(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    rows = [random.integers(3, vocabulary, n) for n in random.integers(2, _LONGEST, _PAIRS)]
    texts = [np.array([START_ID, *row[::-1], END_ID]) for row in rows]
    sample = {"source": padded(rows), "translations": padded(texts)[:, None]}
    return Checkpoint(network, tokenizer, {}, sample)
