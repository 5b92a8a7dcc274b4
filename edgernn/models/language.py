"""The recurrent language model: embedding, recurrent stack, linear head; state in, state out.

    e_t = E[token_t]        y_t, s_t = stack(e_t, s_{t-1})        logits_t = W y_t + b

(Mikolov et al. 2010; weight tying W = E of Press & Wolf 2017 and Inan et al. 2017; learned first
state as a parameter.)
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from torch import Tensor, nn

from edgernn.contract import Contract, Decoding, Record
from edgernn.contract.rules import MOST_ELEMENTS
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.families.language import language_contract
from edgernn.models.between import Between
from edgernn.models.cells.base import State
from edgernn.models.cells.table import CELLS, cell_class
from edgernn.models.compact import CompactStack, input_table, is_compact, table_pays
from edgernn.models.deep import DeepStack
from edgernn.models.family import RecurrentModel
from edgernn.models.few_values import Weights, restrict
from edgernn.models.recurrent import (
    MAX_LAYERS,
    CellStack,
    RecurrentStack,
    make_stack,
    zero_state,
)
from edgernn.wording import expected_one_of

_LATER = ("between", "weights")  # fields that configurations had not from the first on
MAX_WIDTH = 1 << 20  # so that no product of sizes leaves 64 bits


def _known_cell(name: str) -> str:
    if name not in CELLS:
        raise ValueError(expected_one_of(name, CELLS))
    return name


class LanguageConfig(Record):
    """The shape of a language model; what ``config.json`` of a checkpoint holds.

    ``embedding`` is the width of a token's vector; with ``tied`` weights it must equal ``hidden``.
    ``dropout`` acts on the embedding, between layers and before the head, in training only.
    ``between`` says what passes between the layers, see ``models.between``; ``weights`` how many
    values a row of the recurrent layers' matrices is trained to have, see ``models.few_values``.
    """

    vocabulary: int = Field(ge=1, le=MOST_ELEMENTS)
    cell: Annotated[str, AfterValidator(_known_cell)] = "lstm"
    embedding: int = Field(default=64, ge=1, le=MAX_WIDTH)
    hidden: int = Field(default=256, ge=1, le=MAX_WIDTH)
    layers: int = Field(default=2, ge=1, le=MAX_LAYERS)
    between: Between = "plain"
    weights: Weights = "float"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    tied: bool = False
    learned_initial_state: bool = False

    @model_serializer(mode="wrap")
    def _as_it_was(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later where it is at its default: saved models are told by what this
        gives.
        """
        made: dict[str, Any] = write(self)
        later = {name: type(self).model_fields[name].default for name in _LATER}
        return {name: v for name, v in made.items() if name not in later or v != later[name]}

    @model_validator(mode="after")
    def _tied_matrices_fit(self) -> LanguageConfig:
        if self.tied and self.embedding != self.hidden:
            raise ValueError(
                f"tied weights need embedding = hidden, got {self.embedding} and {self.hidden}; "
                f"use --embedding {self.hidden} or leave --tied out"
            )
        return self

    def contract(self) -> Contract:
        """Return the step contract of the model that this describes."""
        return language_contract(
            cell_class(self.cell).states,
            layers=self.layers,
            hidden=self.hidden,
            vocabulary=self.vocabulary,
            initial_state="learned" if self.learned_initial_state else "zeros",
        )

    def decoding(self, tokenizer: Tokenizer) -> Decoding:
        """Return how text is written: sampled, from a line's end where there is no prompt."""
        return Decoding(start=tuple(start_tokens(tokenizer).tolist()))


class LanguageModel(RecurrentModel):
    """``tokens [B, T]`` and a state to ``logits [B, T, V]`` and the state after T."""

    family = "language"
    config_kind = LanguageConfig
    config: LanguageConfig

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.embedding)
        self.recurrent: RecurrentStack | CellStack | DeepStack | CompactStack = make_stack(
            config.cell,
            config.embedding,
            hidden=config.hidden,
            layers=config.layers,
            dropout=config.dropout,
            between=config.between,
        )
        self.head = nn.Linear(config.hidden, config.vocabulary)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.zeros_(self.head.bias)
        if config.tied:
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
            self.head.weight = self.embedding.weight
        self.first_state = nn.ParameterDict()
        if config.learned_initial_state:
            for name, zeros in zip(cell_class(config.cell).states, self._zeros(1), strict=True):
                self.first_state[name] = nn.Parameter(zeros)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Run int64 ``tokens [B, T]`` from ``state``, a tuple of ``[L, B, H]``; return float logits
        and the next state.
        """
        x = self.dropout(self.embedding(tokens))  # [B, T, E]
        y, state = self.recurrent(x, state)  # [B, T, H]
        return self.head(self.dropout(y)), state  # [B, T, V]

    def graph(self, name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See ``RecurrentModel.graph``; the one graph is ``step``."""
        tokens, *state = tensors
        logits, after = self(tokens, tuple(state))
        return (logits, *after)

    def initial_state(self, batch: int) -> State:
        """Return the state before the first token for ``batch`` rows: zeros, or the learned one
        repeated.
        """
        if not self.config.learned_initial_state:
            return self._zeros(batch)
        learned = (self.first_state[name] for name in cell_class(self.config.cell).states)
        return tuple(tensor.repeat(1, batch, 1) for tensor in learned)  # [L, B, H]

    @property
    def open_time(self) -> bool:
        """See ``RecurrentModel.open_time``; a fused layer runs over time."""
        return not isinstance(self.recurrent, CompactStack) and self.recurrent.open_time

    def restrict(self) -> None:
        """See ``RecurrentModel.restrict``."""
        restrict(self.recurrent, self.config.weights)

    def folding_pays(self, bits: int) -> bool:
        """See ``RecurrentModel.folding_pays``; the table itself is stored in 8 bits, of which a
        step reads one row.
        """
        config, cell = self.config, cell_class(self.config.cell)
        if cell.compact is None:
            return False
        return table_pays(
            bits,
            vocabulary=config.vocabulary,
            width=config.embedding,
            rows=cell.gates * config.hidden,
            parameters=self.parameter_count,
        )

    def step_face(self, *, folded: bool = False) -> LanguageModel:
        """See ``RecurrentModel.step_face``."""
        if isinstance(self.recurrent, CompactStack):
            return self
        cells = self.recurrent.cells()
        if is_compact(cells):
            if folded:
                table = input_table(cells[0], self.embedding.weight.detach())  # [V, gH]
                self.embedding = nn.Embedding.from_pretrained(table)
            self.recurrent = CompactStack(cells, folded=folded, ways=self.recurrent.ways)
        return self

    def _zeros(self, batch: int) -> State:
        config = self.config
        return zero_state(
            config.cell,
            layers=config.layers,
            batch=batch,
            hidden=config.hidden,
            device=self.embedding.weight.device,
        )


def start_tokens(tokenizer: Tokenizer) -> np.ndarray:
    """Return what to feed when there is no prompt: a line's end if the vocabulary has it, else the
    first token.
    """
    ids = tokenizer.encode("\n", on_unknown="skip")
    unknown = tokenizer.unknown_id
    return ids if len(ids) and ids[0] != unknown else np.zeros(1, np.int64)
