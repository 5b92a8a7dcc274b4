"""The table of what ``edgernn train`` trains on examples: one file and one row each.

A ``Kind`` says how the user's data, or what is built in, become examples, which network reads them
and what is minimised. The rest, from the run's folder to resuming, is ``run_examples``.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from edgernn.contract import Record
from edgernn.data.examples import ExampleSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.layered.description import NetworkConfig
from edgernn.training.objective import Objective

EXAMPLES = "examples"  # the folder of a run that holds them
TABLE: dict[str, str] = {  # command → module:Class
    "ask": "edgernn.training.ask:AskKind",
    "classify": "edgernn.training.classify:Classify",
    "translate": "edgernn.training.translate:TranslateKind",
    "tag": "edgernn.training.tag:TagKind",
    "glimpse": "edgernn.training.glimpse:GlimpseKind",
    "paint": "edgernn.training.paint:PaintKind",
}

S = TypeVar("S", bound="Setup")  # what the network and the loss are made of; saved with the run
D = TypeVar("D", bound=BaseModel)  # where the examples come from


class Setup(Record):
    """What a network and its loss are made of. Subclasses say which command's it is: ``command:
    Literal["classify"] = "classify"``, so that a run is resumed by the one that began it.
    """


class Kind(ABC, Generic[D, S]):
    """One command of ``edgernn train``; stateless.

    Attributes:
        command: of ``edgernn train``.
        lower: options that a run with less memory has smaller.
        setup: the class of S.
    """

    command: ClassVar[str]
    lower: ClassVar[str] = "--batch or --hidden"
    setup: ClassVar[type[Any]]

    def check(self, data: D, setup: S) -> None:
        """Raise UsageError for options that do not fit each other, before any time is spent."""
        return

    @abstractmethod
    def prepare(self, data: D, out: Path, *, setup: S, tell: Callable[[str], None]) -> None:
        """Make what a run reads in its folder ``out``: the set ``out / EXAMPLES``, a tokenizer
        where it reads text (``checkpoint.TOKENIZER``), and a held-out sample as the family wants it
        (``checkpoint.EVALUATION``), of examples that training never sees.

        Raises:
            DataError: the data are missing or damaged, or too few; says where.
        """

    @abstractmethod
    def network(self, setup: S, examples: ExampleSet, tokenizer: Tokenizer | None) -> NetworkConfig:
        """Return the description of the network."""

    @abstractmethod
    def objective(self, setup: S, examples: ExampleSet, tokenizer: Tokenizer | None) -> Objective:
        """Return what is minimised and measured."""


def kind_of(command: str) -> Kind[Any, Any]:
    """Return the row of ``edgernn train COMMAND``."""
    module, _, name = TABLE[command].partition(":")
    made: Kind[Any, Any] = getattr(importlib.import_module(module), name)()
    return made
