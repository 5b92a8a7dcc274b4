"""The model families: what every model of edgernn offers to sessions, exporters and checkpoints."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel
from torch import Tensor, nn

from edgernn import formats
from edgernn.contract import Contract, Decoding
from edgernn.families.table import families
from edgernn.models.cells.base import State


class ModelConfig(Protocol):
    """The shape of a model; a pydantic model that ``config.json`` of a checkpoint holds."""

    @property
    def vocabulary(self) -> int:
        """V, the number of token ids."""

    def contract(self) -> Contract:
        """Return the step contract of the model that this describes."""

    def decoding(self, tokenizer: Any) -> Decoding | None:
        """Return how a host writes with this model unless told otherwise; None where it writes no
        text.
        """

    def model_dump(self) -> dict[str, Any]:
        """Return the fields as they are written to JSON."""


@dataclass(frozen=True)
class OperatorSet:
    """The operators of torch that a format has: its ``name`` in words; ``has`` says it of one by
    its full name, ``aten::relu``; ``avoided`` are those that it has and gets wrong.
    """

    name: str
    has: Callable[[str], bool]
    avoided: frozenset[str] = frozenset()


@dataclass(frozen=True)
class OwnFile:
    """What a model is that came as an ONNX file: its step as that file's own graph, and the file
    with nothing changed but its interface, which judges; ``one_step`` where the step takes one
    frame a call; ``metadata`` is what files made of it say beside the contract.
    """

    step: bytes
    reference: bytes
    one_step: bool = False
    metadata: tuple[tuple[str, str], ...] = ()


class RecurrentModel(nn.Module):
    """A model with a contract. Subclasses set ``family`` and ``config``, and ``config_kind`` where
    a checkpoint holds them, and implement the rest.
    """

    family: str  # a word of families/table.py
    kind: ClassVar[str | None] = None  # what config.json calls it, where that is not its family
    rebuilt_from_config: ClassVar[bool] = True  # else a bundle carries it as traced graphs
    config_kind: ClassVar[type[BaseModel]]  # of ``config``, where it is rebuilt from one
    own_file: OwnFile | None = None  # where it came as an ONNX file
    config: ModelConfig

    @abstractmethod
    def graph(self, name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Compute the graph ``name`` of the contract: its inputs in the contract's order to its
        outputs in that order.
        """

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """Return the state before the first step for ``batch`` rows, where it is zeros or
        learned.
        """

    @property
    def parameter_count(self) -> int:
        """The numbers that were trained."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The names of the places along an axis of the contract, by axis; of few models."""
        return {}

    @property
    def open_time(self) -> bool:
        """Whether a traced graph of it may take any number of time steps in one call."""
        return True

    def fused_in(self, family: str) -> bool:
        """Whether formats of ``family`` have the operators of its recurrent layers; else they are
        written in the step face.
        """
        return True

    @property
    def folded_table(self) -> str:
        """What tables of weights call the embedding that a folded step face turns into a table."""
        return "embedding"

    def folding_pays(self, bits: int) -> bool:
        """Return whether a folded step face in integers of ``bits`` reads fewer bytes a step, and
        the file stays small.
        """
        return False

    def written_in(self, operators: OperatorSet) -> RecurrentModel:
        """Write in other operators what ``operators`` lacks, in place; return the model.

        Raises:
            ContractError: there are no others for one of them.
        """
        return self

    def in_products(self) -> RecurrentModel:
        """Write what a step face multiplies in other words, as convolutions, as products with a
        matrix, which are what integers are for; in place, and return the model.
        """
        return self

    def restrict(self) -> None:
        """Let what is trained with few values a row be so while it is trained, in place: see
        ``models.few_values``. Nothing else than training calls it.
        """

    @abstractmethod
    def step_face(self, *, folded: bool = False) -> RecurrentModel:
        """Turn the recurrent layers into their step face (T = 1), in place; return the model. It is
        the compact one where the cell has one.

        ``folded`` also turns the embedding and the first layer's input weights into one table,
        where a model has no other use for its embedding; see ``compact.input_table``.
        """


LAYERED = {"network": "edgernn.models.layered.network:Network"}  # whose config says the family


def rebuilt() -> dict[str, str]:
    """Return word → ``module:Class`` of every kind of model that a checkpoint holds: one of a
    family's own, or the network of layers, which may be of any.
    """
    own = {family.word: family.model for family in families() if family.model is not None}
    return {**own, **LAYERED}


def kind_of(word: str) -> type[RecurrentModel]:
    """Return the model that a checkpoint of the kind ``word`` holds, one of ``rebuilt``."""
    found: type[RecurrentModel] = formats.resolve(
        rebuilt()[word], needed_for=f"a {word} model", extra="train"
    )
    return found
