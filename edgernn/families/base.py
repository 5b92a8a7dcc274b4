"""What a kind of model is to verify, export, bench and the commands: one file a family.

A family knows how a model of its kind is fed, what its held-out sample holds, what a worse file of
it loses and what it writes. Everything else follows from the contract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from edgernn.contract import Contract, Decoding
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.sessions.base import Arrays
from edgernn.sessions.model import Model

Sample = Mapping[str, np.ndarray]
FEWEST = 32  # positions of a held-out sample that a loss is measured on


class Loss(Protocol):
    """What a candidate loses against a reference."""

    def measured(self) -> dict[str, Any]:
        """Return every figure by name, for a report."""


@dataclass(frozen=True, eq=False)
class Feed:
    """What goes into measured calls, each tensor ``[N, *axes]`` with one row: from the beginning
    again after the last.

    Attributes:
        encode: every input of the encode graph by name; empty where there is no such graph.
        step: every fresh input of the step by name.
        source: in words.
    """

    encode: Sample
    step: Sample
    source: str

    def call(self, tensors: Sample, place: int) -> dict[str, np.ndarray]:
        """Return the call ``place`` of ``encode`` or ``step``."""
        return {name: array[place % len(array)] for name, array in tensors.items()}


class Family(ABC):
    """One kind of model; stateless.

    Attributes:
        word: what the manifest calls it.
        noun: for a sentence: "a recurrent …".
        layout: of its held-out sample, in words.
        unit: what a step of it is.
        predicts: whether its loss is that of predicted ids, so that there is a perplexity.
        writes: what ``verify`` compares in its greedy check; None where it writes nothing.
        in_examples: whether the examples of every language write with it, beside replaying the
            recorded run.
        command: the command of edgernn that writes or answers with it; None where there is none.
        arguments: what that takes after the bundle, beginning with a space.
        about: what it is, and is not to be asked, for who gave it to another command.
        task, metrics: as model hubs call them.
        sizes: name in a model's configuration → axis of the contract.
        model: ``module:Class`` of the model that a checkpoint of its word holds, with its
            configuration; None where none rebuilds it.
        cells: name of a cell in a model's configuration → its states in the contract's order.
    """

    word: ClassVar[str]
    noun: ClassVar[str]
    layout: ClassVar[str]
    unit: ClassVar[str] = "token"
    predicts: ClassVar[bool] = False
    writes: ClassVar[Literal["text", "captions", "translations"] | None] = None
    in_examples: ClassVar[bool] = False
    command: ClassVar[str | None] = None
    arguments: ClassVar[str] = ""
    about: ClassVar[str] = ""
    task: ClassVar[str] = "other"
    metrics: ClassVar[tuple[str, ...]] = ()
    sizes: ClassVar[Mapping[str, str]] = {}
    model: ClassVar[str | None] = None
    cells: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def problem(self, contract: Contract) -> str:
        """Say in one line why ``contract`` is of no model of this kind; empty where it is."""
        return ""

    def writes_with(self, contract: Contract) -> bool:
        """Return whether ``command`` can write with a model of ``contract``, whatever its family
        is called.
        """
        return False

    @abstractmethod
    def sample_problem(self, sample: Sample, contract: Contract) -> str:
        """Say in one line why ``sample`` is no held-out sample of a model of ``contract``; empty
        where it is.
        """

    @abstractmethod
    def count(self, sample: Sample, contract: Contract) -> int:
        """Return how many positions of ``sample`` can be predicted or compared."""

    def drawn(self, contract: Contract, *, seed: int) -> Sample | None:
        """Return a sample drawn by ``seed`` to measure a loss on where none was recorded; None
        where what is drawn says nothing.
        """
        return None

    def read(self, sample: Sample | None) -> np.ndarray | None:
        """Return the ids ``[N]`` that a model reads of ``sample``; None where there are none."""
        return None

    def shown(self, sample: Sample | None, contract: Contract, *, seed: int) -> Sample:
        """Return what ``encode`` is shown to write about, each input ``[N, …]``: that of
        ``sample``, else drawn by ``seed`` where what is drawn is as good; empty where neither is.
        """
        return {}

    @abstractmethod
    def spared(self, sample: Sample, contract: Contract) -> Sample | None:
        """Return the part of ``sample`` to calibrate on, or None where it is too small to spare
        any.
        """

    @abstractmethod
    def calls(self, model: Model, sample: Sample) -> Iterator[Arrays]:
        """Yield every input of the step by name, call by call, while ``model`` reads ``sample`` on
        its own state.
        """

    @abstractmethod
    def loss(self, reference: Model, candidate: Model, sample: Sample) -> Loss:
        """Let both read ``sample``; return how much worse the candidate does.

        Raises:
            ContractError: a number is not finite, or the sample holds nothing to read.
        """

    def prompts(self, decoding: Decoding, sample: Sample | None) -> list[np.ndarray]:
        """Return the prompts after which texts are compared, each int64 ``[N]``."""
        return []

    def written(self, model: Model, sample: Sample, decoding: Decoding) -> dict[str, list[int]]:
        """Return what ``model`` writes about ``sample``: in words → token ids."""
        return {}

    def score(
        self, model: Model, sample: Sample, decoding: Decoding, tokenizer: Tokenizer
    ) -> float | None:
        """Return the CIDEr-D of what ``model`` writes about ``sample``; None where it writes no
        captions.
        """
        return None

    @abstractmethod
    def feed(self, contract: Contract, sample: Sample | None, *, seed: int) -> Feed:
        """Return what measured calls are fed: ``sample``, or values drawn by ``seed``."""
