"""A family of language models is a declaration: the names of its modules, of its class, and what
its forward does beside them.

Such a model is a table of vectors, recurrent layers and a linear head, whatever they are called:
logits_t = W y_t + b, with y_t and the state from the layers over E[token_t].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from edgernn.errors import CheckpointError
from edgernn.importers.base import BY_CLASS, BY_KEYS, Imported, Importer, Match, Opened
from edgernn.importers.grammar.assemble import assemble
from edgernn.importers.grammar.blocks import Blocks, Matrix
from edgernn.importers.grammar.chain import CELL, CELL_SAYS, Chain, with_cell
from edgernn.importers.grammar.network import ROOT, ROOT_SAYS, Network, network, of_network, only
from edgernn.importers.grammar.parse import parse, says_function
from edgernn.importers.grammar.words import held_out, words_of
from edgernn.importers.vocabularies.finding import Order, find_vocabulary
from edgernn.importers.vocabularies.tokenizing import Kind, tokenizer_of
from edgernn.importers.vocabularies.vocabulary import Vocabulary
from edgernn.wording import some

SETTINGS = {ROOT: ROOT_SAYS, CELL: CELL_SAYS}
_RAW = (
    "the recurrent matrices are those that were learned (weight_hh_l0_raw), not what weight "
    "dropping made of them in training"
)


@dataclass(frozen=True)
class Names:
    """The modules of a language model, as their upstream calls them.

    Attributes:
        embedding: the table of vectors.
        stack: the recurrent layers; ``rnns.*`` where they are a list of modules.
        head: the linear layer that gives the logits; nothing where the network ends before it. A
            file may leave its weight out where it is the table itself.
        copies: further names of the table.
    """

    embedding: str
    stack: str
    head: str
    copies: tuple[str, ...] = ()

    @property
    def stack_start(self) -> str:
        """What the names of the recurrent layers' tensors start with."""
        return self.stack.removesuffix("*").rstrip(".") + "."

    def __str__(self) -> str:
        return ", ".join(name for name in (self.embedding, self.stack, self.head) if name)

    def roots(self, names: Iterable[str]) -> list[str]:
        """Return the prefixes under which all of the modules have tensors among ``names``."""
        known, table = list(names), f"{self.embedding}.weight"
        starts = [n.removesuffix(table) for n in known if f".{n}".endswith(f".{table}")]
        return [
            start
            for start in starts
            if _any_starts(known, start + self.stack_start)
            and (not self.head or _any_starts(known, f"{start}{self.head}."))
        ]

    def strangers(self, names: Iterable[str]) -> list[str]:
        """Return those of ``names``, without their prefix, that are of no module."""
        modules = (self.embedding, self.head or self.embedding, *self.copies)
        own = (*(f"{module}." for module in modules), self.stack_start)
        return [name for name in names if not name.startswith(own)]


class LanguageImporter(Importer):
    """One family of language models.

    Attributes:
        names: of its modules, in each of its versions; the first that a file has counts.
        classes: of the whole network, where files hold it as an object.
        order: where its words come from, as ``find_vocabulary`` says; of ``corpus`` the user says.
        tokens: what its tokens are.
        expected: word → the id that the family gives it.
    """

    names: ClassVar[tuple[Names, ...]]
    classes: ClassVar[tuple[str, ...]] = ()
    order: ClassVar[Order] = "corpus"
    tokens: ClassVar[Kind] = "words"
    expected: ClassVar[Mapping[str, int]] = {}
    settings = SETTINGS

    def match(self, opened: Opened) -> Match | None:
        """See ``Importer.match``."""
        found = [match for _, match in self._found(opened).values()]
        return max(found, key=lambda match: match.sureness, default=None)

    def read(self, opened: Opened) -> Imported:
        """See ``Importer.read``."""
        found = self._found(opened)
        root = only(found)
        names, mine = found[root][0], network(opened, root)
        self.check(opened, mine)
        if strangers := names.strangers(mine.tensors):
            raise CheckpointError(
                f"{some([root + name for name in strangers])} is no part of {self.about}; expected "
                f"nothing beside {names}"
            )
        chain = self.chain(opened, names, mine)
        assert chain.embedding is not None
        vocabulary = self.vocabulary(opened, chain.embedding.rows) if names.head else None
        if vocabulary is None:
            return assemble(chain, None)
        chain = replace(chain, told=(*chain.told, *vocabulary.told))
        tokenizer = tokenizer_of(vocabulary, self.tokens)
        evaluation = held_out(opened.wishes.vocabulary, tokenizer)
        return replace(assemble(chain, tokenizer), evaluation=evaluation)

    def check(self, opened: Opened, found: Network) -> None:
        """Raise CheckpointError where ``found`` is a form of the family that is not taken."""

    def chain(self, opened: Opened, names: Names, found: Network) -> Chain:
        """Return the blocks in their order."""
        blocks = parse(found.tensors, found.modules)
        said = says_function(names.stack, found.modules)
        stack, told = with_cell(blocks.stack(names.stack), opened.wishes.settings, said=said)
        table = blocks.matrix(names.embedding)
        if any(name.endswith("_raw") for name in found.tensors):
            told.append(_RAW)
        links = (stack, _head(blocks, names.head, table)) if names.head else (stack,)
        return Chain(table, links, (*self.differs, *told)).checked()

    def vocabulary(self, opened: Opened, size: int) -> Vocabulary | None:
        """Return the vocabulary of ``size`` ids; None where nothing gives it."""
        given, guess = words_of(opened, size)
        if given is None and self.order == "corpus":
            return None
        found = find_vocabulary(given, order=self.order, size=size, expected=self.expected)
        return replace(found, told=(guess, *found.told)) if guess else found

    def _found(self, opened: Opened) -> dict[str, tuple[Names, Match]]:
        """Return the prefix of every network of this family in the file, which names it has, and
        why it is one.
        """
        tensors = of_network(opened)
        found: dict[str, tuple[Names, Match]] = {}
        for names in self.names:
            for module, stub in opened.modules.items():
                root = f"{module}." if module else ""
                if stub.name in self.classes and _any_starts(tensors, root + names.stack_start):
                    why = f"it holds an object of the class {stub.name}"
                    found[root] = names, Match(BY_CLASS, why)
            for root in names.roots(tensors):
                if not names.strangers(network(opened, root).tensors):
                    why = f"its tensors are those of {names}" + (f", under {root}" if root else "")
                    found.setdefault(root, (names, Match(BY_KEYS, why)))
            if found:
                break
        return found


def _head(blocks: Blocks, name: str, table: Matrix) -> Matrix:
    """Return the head; its weight is the table where the file has its bias alone."""
    bias = blocks.others.get(f"{name}.bias")
    if name not in blocks.matrices and bias is not None and bias.shape == (table.rows,):
        return Matrix(name, table.weight, bias, "linear")
    return blocks.matrix(name)


def _any_starts(names: Iterable[str], start: str) -> bool:
    return any(name.startswith(start) for name in names)
