"""The image captioner: an image encoder, a conditioning and a recurrent decoder that writes one
word a step.

    regions = encoder(image)    contexts, s_0 = conditioning(regions)            once per picture
    h_t, s_t = decoder([E y_t; z_t], s_{t-1})    logits_t = W [h_t; z_t] + b     once per word

with z_t what the conditioning joins to the word, if anything.

The decoder always uses the step face: attention needs the state between two words, so there is
nothing to fuse over time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from edgernn.contract import ENCODE, Contract, Decoding
from edgernn.contract.rules import MOST_ELEMENTS
from edgernn.data.pictures.caption_ids import END_ID, PAD_ID, START_ID, UNKNOWN_ID
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.families.captioner import captioner_contract
from edgernn.models.cells.base import State
from edgernn.models.cells.table import cell_class
from edgernn.models.compact import CompactStack, is_compact
from edgernn.models.conditioning import CONDITIONINGS, Conditioned, Decoder, Sizes, Tensors
from edgernn.models.deep import DeepStack
from edgernn.models.family import RecurrentModel
from edgernn.models.few_values import restrict
from edgernn.models.image_encoder import ENCODERS, image_encoder, normalise
from edgernn.models.layered.over_time import Stack, Width
from edgernn.models.recurrent import CellStack, make_stack
from edgernn.wording import expected_one_of

MAX_WIDTH = 1 << 20  # so that no product of sizes leaves 64 bits


def _one_of(known: Mapping[str, object]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(expected_one_of(name, known))
        return name

    return AfterValidator(check)


class CaptionerConfig(Stack):
    """The shape of a captioner, whose decoder is the stack; what ``config.json`` of a checkpoint
    holds.

    ``image_size`` is the side of the square pictures in pixels; ``keys`` the width of attention's
    keys; ``dropout`` acts on the embedding and before the head, in training only; ``length`` is the
    most words of a caption.
    """

    vocabulary: int = Field(ge=1, le=MOST_ELEMENTS)
    conditioning: Annotated[str, _one_of(CONDITIONINGS)] = "soft-attention"
    encoder: Annotated[str, _one_of(ENCODERS)] = "compact"
    image_size: int = Field(default=64, ge=32, le=1024)
    embedding: int = Field(default=128, ge=1, le=MAX_WIDTH)
    hidden: Width = 192
    keys: int = Field(default=64, ge=1, le=MAX_WIDTH)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    length: int = Field(default=20, ge=1, lt=1 << 31)

    def contract(self) -> Contract:
        """Return the step contract of the model that this describes."""
        with torch.device("meta"):
            encoder = image_encoder(self.encoder, self.image_size)
        self.of_cells("a picture conditions a captioner through states of cells")
        self.described("decoder", "words")  # which refuses what a cell has not
        if strange := next((n for n, width in self.states.items() if width != self.hidden), None):
            raise UsageError(
                f"the state {strange} of {self.cell} is {self.states[strange]} wide, expected the "
                f"{self.hidden} of --hidden, as a captioner's are; leave --cell-options out"
            )
        cell = cell_class(self.cell)
        if self.conditioning == "every-step" and not cell.gates:
            raise UsageError(
                f"conditioning is every-step, which adds to gates, and the cell {self.cell!r} says "
                "of none; expected another conditioning, or another cell"
            )
        return captioner_contract(
            cell.states,
            self.conditioning,
            layers=self.layers,
            hidden=self.hidden,
            vocabulary=self.vocabulary,
            image_size=self.image_size,
            sizes={
                "regions": encoder.grid**2,
                "features": encoder.width,
                "keys": self.keys,
                "gates": cell.gates * self.hidden,
            },
        )

    def decoding(self, tokenizer: Tokenizer) -> Decoding:
        """Return how captions are written: greedy, from <start> to <end>, without the other special
        tokens.
        """
        special = (PAD_ID, START_ID, UNKNOWN_ID)
        return Decoding(
            start=(START_ID,), temperature=0.0, stop=(END_ID,), suppress=special, length=self.length
        )


@dataclass(frozen=True)
class Forced:
    """What a teacher-forced pass gives: ``logits [B, T, V]``, and with attention ``attention [B, T,
    R]``.

    ``drawn [B, T]`` are the log-probabilities of regions drawn at random, where the conditioning
    draws.
    """

    logits: Tensor
    attention: Tensor | None
    drawn: Tensor | None


class Captioner(RecurrentModel):
    """Pictures and words to the next word; see the module's docstring."""

    family = "captioner"
    config_kind = CaptionerConfig
    config: CaptionerConfig

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.config = config
        self._contract = config.contract()
        self.encoder = image_encoder(config.encoder, config.image_size)
        sizes = Sizes(
            config.cell,
            config.layers,
            config.hidden,
            config.embedding,
            self.encoder.width,
            self.encoder.near,
            config.keys,
        )
        self.conditioning = CONDITIONINGS[config.conditioning](sizes)
        self.embedding = nn.Embedding(config.vocabulary, config.embedding)
        width = config.embedding + self.conditioning.joined
        stack = make_stack(
            config.cell,
            width,
            hidden=config.hidden,
            layers=config.layers,
            options=config.cell_options,
            between=config.between,
        )
        self.decoder: Decoder = (
            stack.by_cell()
            if isinstance(stack, DeepStack)
            else CellStack(stack.cells(), by_part=True)
        )
        self.head = nn.Linear(config.hidden + self.conditioning.joined, config.vocabulary)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.zeros_(self.head.bias)

    def encode(self, image: Tensor) -> tuple[Tensors, State]:
        """Turn ``image [B, S, S, 3]``, RGB 0 to 255, into contexts and the state before the first
        word.
        """
        features = self.encoder(normalise(image))  # [B, F, G, G]
        regions = features.flatten(2).transpose(1, 2)  # [B, R, F]
        return self.conditioning.encode(regions, self.decoder)

    def step(
        self, tokens: Tensor, contexts: Tensors, state: State
    ) -> tuple[Tensor, Conditioned, State]:
        """Feed int64 ``tokens [B, 1]``; return ``logits [B, 1, V]``, how the picture conditions it,
        and the next state.
        """
        word = self.dropout(self.embedding(tokens))  # [B, 1, E]
        conditioned = self.conditioning.step(word[:, 0], contexts, state)
        y, state = self.decoder(_join(word, conditioned), state, conditioned.gates)  # [B, 1, H]
        return self.head(self.dropout(_join(y, conditioned))), conditioned, state

    def forward(
        self, contexts: Tensors, state: State, tokens: Tensor, own: Tensor | None = None
    ) -> Forced:
        """Run over reference ``tokens [B, T]``, each step fed the reference's word.

        With scheduled sampling (Bengio et al. 2015) ``own``, bool ``[B, T]``, marks the steps that
        are fed a word drawn from the model's own prediction instead; the first column is not looked
        at.
        """
        logits: list[Tensor] = []
        steps: list[Conditioned] = []
        for t in range(tokens.shape[1]):
            fed = tokens[:, t]
            if own is not None and t:
                guessed = torch.multinomial(torch.softmax(logits[-1][:, 0].detach().float(), 1), 1)[
                    :, 0
                ]
                fed = torch.where(own[:, t], guessed, fed)
            word, conditioned, state = self.step(fed[:, None], contexts, state)
            logits.append(word)
            steps.append(conditioned)
        return Forced(
            torch.cat(logits, 1),
            _stacked([conditioned.attention for conditioned in steps]),
            _stacked([conditioned.drawn for conditioned in steps]),
        )

    def graph(self, name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See ``RecurrentModel.graph``: ``encode`` runs once per picture, ``step`` once per
        word.
        """
        if name == ENCODE:
            contexts, state = self.encode(tensors[0])
            return (*contexts, *(state if self._contract.starting(ENCODE) else ()))
        count = len(self._contract.step.contexts)
        tokens, contexts, state = tensors[0], tensors[1 : 1 + count], tensors[1 + count :]
        logits, conditioned, after = self.step(tokens, contexts, state)
        attention = () if conditioned.attention is None else (conditioned.attention.unsqueeze(1),)
        return (logits, *attention, *after)

    def initial_state(self, batch: int) -> State:
        """See ``RecurrentModel.initial_state``; zeros, and only where ``encode`` does not give
        it.
        """
        if self._contract.starting(ENCODE):
            raise UsageError("the first state of this captioner comes from a picture; use encode")
        return self.conditioning.zeros(self.head.bias.new_zeros(batch))

    def step_face(self, *, folded: bool = False) -> Captioner:
        """See ``RecurrentModel.step_face``; attention looks at the embedding, too, so nothing is
        ever folded.
        """
        if not isinstance(self.decoder, CompactStack):
            cells = self.decoder.cells()
            if is_compact(cells):
                self.decoder = CompactStack(cells, ways=self.decoder.ways)
            else:
                self.decoder = self.decoder.by_cell()
        return self

    def restrict(self) -> None:
        """See ``RecurrentModel.restrict``."""
        restrict(self.decoder, self.config.weights)


def _join(x: Tensor, conditioned: Conditioned) -> Tensor:
    return (
        x if conditioned.joined is None else torch.cat((x, conditioned.joined.unsqueeze(1)), 2)
    )  # [B, 1, I]


def _stacked(tensors: list[Tensor | None]) -> Tensor | None:
    present = [tensor for tensor in tensors if tensor is not None]
    return torch.stack(present, 1) if present else None
