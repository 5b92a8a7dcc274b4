"""From what a user gave to the vocabulary of a network."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from edgernn.containers.content import Stub
from edgernn.errors import UsageError
from edgernn.importers.vocabularies.files import read_vocabulary
from edgernn.importers.vocabularies.tree import RANKED, pairs_of
from edgernn.importers.vocabularies.vocabulary import Vocabulary, WordIds, settle

Order = Literal["corpus", "printable"]
Given = Path | Mapping[Any, Any] | Sequence[Any] | Stub | None

_PRINTABLE_TOLD = (
    "upstream reads a character beyond the 100 of string.printable as '0', id 0; here it is refused"
)
_MISSING = (
    "the checkpoint does not hold its words; give with --vocabulary the folder of its corpus "
    "(train.txt, valid.txt, test.txt), a word map in JSON, a word a line, a pickled vocabulary, "
    "or a tokenizer.json"
)


def find_vocabulary(
    given: Given,
    *,
    order: Order = "corpus",
    size: int | None = None,
    specials: Mapping[str, str] | None = None,
    expected: Mapping[str, int] | None = None,
    added: Mapping[int, str] | None = None,
    base: int = 0,
) -> Vocabulary:
    """Return the words of a network by id.

    Args:
        given: a corpus folder or file, a vocabulary file of any kind; or what a checkpoint itself
            holds: a dict of word → id or id → word, a list of words, or a tree with one of them;
            or None.
        order: what to do where nothing is given: ``printable`` takes Python's
            ``string.printable``, as char-rnn.pytorch does; ``corpus`` asks for a file.
        size: the rows that the network has for words.
        specials: the family's own names: ``pad``, ``start``, ``end``, ``unknown``, ``eos`` → word.
            A role without a name is guessed from common spellings.
        expected: word → id as the family numbers them; what differs is told.
        added: id → word for ids that the family leaves out of its vocabulary, as ruotianluo's 0.
        base: the id of the first row in the source, 1 of Torch7's.

    Raises:
        DataError: it cannot be read, is no vocabulary, has an id or a word twice, or not as many
            ids as the network has rows.
        UsageError: nothing was given, and the family has no order of its own.
    """
    if given is None and order != "printable":
        raise UsageError(_MISSING)
    found = _read(given, size)
    if base:
        found = replace(found, pairs=tuple((word, i - base) for word, i in found.pairs))
    return settle(
        found, size=size, specials=specials or {}, expected=expected or {}, added=added or {}
    )


def _read(given: Given, size: int | None) -> WordIds:
    if given is None:
        return WordIds(
            pairs=tuple((character, i) for i, character in enumerate(string.printable)),
            how="Python's string.printable",
            told=(_PRINTABLE_TOLD,),
            remedy="give the characters of the model with --vocabulary, as a list in JSON",
        )
    if isinstance(given, Path):
        return read_vocabulary(given, size=size)
    pairs, what = pairs_of(given, "the checkpoint")
    return WordIds(pairs=pairs, how=what or "the checkpoint", ranked=what == RANKED)
