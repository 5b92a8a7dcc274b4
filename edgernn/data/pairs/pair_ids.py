"""Pairs as the ids that a translator reads and writes: one vocabulary of characters for both
sides, after three that mark padding, whose id is 0, the start and the end.

The marks are characters, too, which stand for control characters and which no text has: so the
vocabulary is one of kind char, as every host reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from edgernn.contract import Decoding
from edgernn.data.pairs.pairs import Pair
from edgernn.data.text.given_vocabulary import of_characters
from edgernn.data.text.tokenizer import OnUnknown, Tokenizer
from edgernn.errors import DataError

MARKS = ("\u2400", "\u2402", "\u2403")  # ␀ ␂ ␃
PAD_ID, START_ID, END_ID = range(len(MARKS))


def pair_tokenizer(pairs: Iterable[Pair]) -> Tokenizer:
    """Return the tokenizer of all characters of ``pairs``.

    Raises:
        DataError: a text has a mark.
    """
    characters = {character for pair in pairs for text in pair for character in text}
    if taken := sorted(characters & {*MARKS}):
        raise marked(taken[0])
    names = [*MARKS, *sorted(characters)]
    library = of_characters({name: token_id for token_id, name in enumerate(names)})
    return Tokenizer(library.to_str(pretty=True))


def pair_decoding(length: int) -> Decoding:
    """Return how a translator writes: from start to end, at most ``length`` characters."""
    return Decoding(
        start=(START_ID,),
        temperature=0.0,
        stop=(END_ID,),
        suppress=(PAD_ID, START_ID),
        length=length,
    )


def source_ids(
    tokenizer: Tokenizer, text: str, *, on_unknown: OnUnknown = "error"
) -> npt.NDArray[np.int64]:
    """Return the ids of a text to translate, int64 ``[S]``: never those of the marks, so that none
    is padding.

    Raises:
        DataError: the vocabulary lacks a character, or the text has a mark.
    """
    ids = tokenizer.encode(text, on_unknown=on_unknown)
    is_mark = ids < len(MARKS)
    if is_mark.any() and on_unknown == "error":
        raise marked(MARKS[ids[is_mark][0]])
    return ids[~is_mark]


def marked(mark: str, where: str = "a text") -> DataError:
    """Return the error of a text that has a mark; ``where`` says which text."""
    return DataError(
        f"{where} has the character {mark!r}, which marks padding, start or end of a text to a "
        "translator; take it out"
    )


def target_ids(tokenizer: Tokenizer, text: str) -> npt.NDArray[np.int64]:
    """Return the ids of a translation, int64 ``[N + 2]``: start, its characters, end."""
    return np.concatenate([[START_ID], tokenizer.encode(text), [END_ID]]).astype(np.int64)


def padded(rows: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Return rows of ids as int64 ``[N, longest]``, 0 after the end of each."""
    table = np.full((len(rows), max(map(len, rows))), PAD_ID, np.int64)
    for row, ids in zip(table, rows, strict=True):
        row[: len(ids)] = ids
    return table
