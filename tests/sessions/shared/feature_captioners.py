"""A captioner that sees features, as tests of several files take it: two inputs of its own, regions
whose number is open, attention, and ids as public captioners have them, 0 to begin, end and pad.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.contract import Contract, Decoding
from edgernn.contract.build import build_contract
from edgernn.data.text.spaced import spaced_pipeline
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.module import ModuleModel

WORDS = ["a", "dog", "cat", "sits", "runs", "there", "red", "big", "UNK"]
VOCABULARY, FC, WIDTH, HIDDEN = 1 + len(WORDS), 5, 4, 8
DECODING = Decoding(start=(0,), stop=(0,), temperature=0.0, suppress=(VOCABULARY - 1,), length=6)


class FeatureCaptioner(ModuleModel):
    """A captioner whose parts are modules."""

    family = "captioner"


class Encode(nn.Module):
    """``fc [B, 5]`` to the first state, regions as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.begin = nn.Linear(FC, HIDDEN)

    def forward(self, fc: Tensor, att: Tensor) -> tuple[Tensor, ...]:
        return att * 1.0, torch.tanh(self.begin(fc)).unsqueeze(0)  # [B, R, 4], [1, B, 8]


class Step(nn.Module):
    """A GRU cell over a word and the regions that the state looks at."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 6)
        self.query = nn.Linear(HIDDEN, WIDTH)
        self.cell = nn.GRUCell(6 + WIDTH, HIDDEN)
        self.head = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, tokens: Tensor, regions: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        scores = regions @ self.query(h[0]).unsqueeze(2)  # [B, R, 1]
        weights = torch.softmax(scores, 1).transpose(1, 2)  # [B, 1, R]
        seen = torch.cat((self.embedding(tokens)[:, 0], (weights @ regions)[:, 0]), 1)
        after = self.cell(seen, h[0])  # [B, 8]
        return self.head(after).unsqueeze(1), weights, after.unsqueeze(0)


def feature_contract() -> Contract:
    """Return the contract of ``feature_captioner``."""
    return build_contract(
        inputs={"tokens": f"int64 [batch, time=1] below vocab={VOCABULARY}"},
        outputs={
            "logits": "float32 [batch, time, vocab]",
            "attention": "float32 [batch, time, regions]",
        },
        states={"h": f"float32 [layers=1, batch, hidden={HIDDEN}]"},
        contexts={"seen": f"float32 [batch, regions, width={WIDTH}]"},
        encode_inputs={
            "fc": f"float32 [batch, fc_width={FC}]",
            "att": f"float32 [batch, regions, width={WIDTH}]",
        },
        initial_state={"h": "encode"},
    )


def feature_captioner(*, seed: int = 3) -> FeatureCaptioner:
    """Return the captioner, its weights large enough for captions to differ."""
    torch.manual_seed(seed)
    step, encode = Step(), Encode()
    with torch.no_grad():
        for parameter in (*step.parameters(), *encode.parameters()):
            parameter.mul_(3)
    return FeatureCaptioner(step, feature_contract(), encode=encode, decoding=DECODING).eval()


def feature_tokenizer() -> Tokenizer:
    """Return its vocabulary; ids as ruotianluo's infos number words, from 1 on."""
    vocabulary = {"<end>": 0, **{word: 1 + at for at, word in enumerate(WORDS)}}
    return Tokenizer.from_json(spaced_pipeline(vocabulary, unknown="UNK", captions=True).to_str())


def features(rows: int = 6, regions: int = 5, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Return what it sees of so many pictures, each ``[rows, …]``."""
    random = np.random.default_rng(seed)
    return {
        "fc": random.normal(size=(rows, FC)).astype(np.float32),
        "att": random.normal(size=(rows, regions, WIDTH)).astype(np.float32),
    }


def feature_sample() -> dict[str, np.ndarray]:
    """Return a held-out sample of six pictures with two captions each, some of another length."""
    captions = np.zeros((6, 2, 8), np.int64)
    random = np.random.default_rng(1)
    for row in captions.reshape(12, 8)[:11]:
        words = random.integers(1, VOCABULARY, random.integers(5, 7))
        row[1 : 1 + len(words)] = words
    return {**features(), "captions": captions}
