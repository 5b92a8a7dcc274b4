"""What an importer is: one family of upstream checkpoints, read into a model of edgernn.

A new family is one file with one class and one row of ``table.IMPORTERS``. An importer says whether
what was opened is of its family, and why; and what model it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from edgernn.containers.content import Content, Stub
from edgernn.containers.walk import modules, tensors
from edgernn.data.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from edgernn.models.family import ModelConfig

# how sure a match is: that it has blocks of a known kind; names and shapes alone; the class, or a
# file's own word
BY_BLOCKS, BY_KEYS, BY_CLASS = 0, 1, 2


@dataclass(frozen=True)
class Wishes:
    """What the user said beside the file.

    Attributes:
        vocabulary: a corpus folder or file, a word map, a pickled vocabulary, a tokenizer.json.
        companions: further files of the same checkpoint, as an encoder's, or options'.
        names: the file's name of a tensor → the name that the family expects.
        settings: a family's own settings by name, as text.
    """

    vocabulary: Path | None = None
    companions: tuple[Path, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Opened:
    """A checkpoint that was read, its companions, and what the user said."""

    content: Content
    companions: tuple[Content, ...] = ()
    wishes: Wishes = Wishes()

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays of the file by dotted name, renamed as the user said."""
        found = tensors(self.content)
        return {self.wishes.names.get(name, name): array for name, array in found.items()}

    @cached_property
    def modules(self) -> dict[str, Stub]:
        """The stubs of its modules by dotted name."""
        return dict(modules(self.content))


@dataclass(frozen=True)
class Match:
    """That a checkpoint is of a family: how sure, and why in words."""

    sureness: int
    why: str


@dataclass(frozen=True, eq=False)
class Imported:
    """A network in edgernn's own words.

    Attributes:
        config: of the model, as ``models.language.LanguageConfig``.
        tensors: the model's own names → their values; float32, float64 and float16 are taken.
        tokenizer: of a model of text.
        told: what was guessed, and what cannot be reproduced, a sentence each; it is printed, and
            stands in the bundle's card.
        evaluation: a held-out sample in the layout of the model's family.
    """

    config: ModelConfig
    tensors: Mapping[str, np.ndarray]
    tokenizer: Tokenizer | None = None
    told: tuple[str, ...] = ()
    evaluation: Mapping[str, np.ndarray] = field(default_factory=dict)


class Importer(ABC):
    """One family of checkpoints; stateless.

    Attributes:
        word: what ``--family`` calls it.
        about: what it is, in a few words, with the upstream's name.
        options: what ``edgernn import`` must be told beside the file, as ``--vocabulary CORPUS``.
        differs: what files of it do not give that their upstream does, a sentence each.
        settings: the names that ``Wishes.settings`` may have, and what each says.
    """

    word: ClassVar[str]
    about: ClassVar[str]
    options: ClassVar[str] = ""
    differs: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[Mapping[str, str]] = {}

    @abstractmethod
    def match(self, opened: Opened) -> Match | None:
        """Say whether ``opened`` is of this family; None where it is not."""

    def refusal(self, opened: Opened) -> str:
        """Say in one line why ``opened``, which is of this family, is not taken, as far as that is
        seen without reading it; empty where nothing is.
        """
        return ""

    @abstractmethod
    def read(self, opened: Opened) -> Imported:
        """Return the network.

        Raises:
            CheckpointError: it is of this family, and damaged or of a form that is not taken.
            UsageError: something that the user must give is missing.
        """
