"""A caption as the ids that a captioner reads and writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgernn.contract import Decoding
from edgernn.data.text.token_kinds import CAPTION, END, PAD, START
from edgernn.data.text.tokenizer import Ids, Tokenizer
from edgernn.errors import UsageError

# As edgernn's own captioners number them; those of others have ids of their own, found by name.
PAD_ID, START_ID, END_ID, UNKNOWN_ID = range(4)


def encode_caption(tokenizer: Tokenizer, text: str) -> npt.NDArray[np.int64]:
    """Return the ids of a caption, int64 ``[N]``: <start>, its words, <end>; rare words are the
    unknown one. Where there is no <start>, it begins with <end>.

    Raises:
        UsageError: the tokenizer is not of kind caption, or has no <end>.
        DataError: the text is no valid Unicode.
    """
    _check_kind(tokenizer)
    end = tokenizer.id_of(END)
    start = end if tokenizer.id_of(START) is None else tokenizer.id_of(START)
    if end is None or start is None:
        raise UsageError(f"the tokenizer has no {END}; use the one of the captioner")
    return np.concatenate([[start], tokenizer.encode(text), [end]]).astype(np.int64)  # [N]


def caption_text(
    tokenizer: Tokenizer, ids: Sequence[int] | Ids, decoding: Decoding | None = None
) -> str:
    """Return the words of ids ``[N]`` up to the first that ends a caption, one space apart; no
    special id leaves a trace.

    Those are what the vocabulary calls <start>, <end> and <pad>, its unknown word where it is of
    kind caption, and the start, stop and suppressed ids of ``decoding``. An id that both begins a
    caption and ends it ends nothing where it comes first.

    Raises:
        UsageError: the tokenizer is of another kind, and no ``decoding`` was given.
        DataError: an id is outside the vocabulary.
    """
    if decoding is None:
        _check_kind(tokenizer)
    array = np.asarray(ids, dtype=np.int64)  # [N]
    ending, special, both = special_ids(tokenizer, decoding)
    array = array[1:] if len(array) and array[0] in both else array
    ends = np.flatnonzero(np.isin(array, [*ending]))
    words = array[: ends[0]] if ends.size else array
    return tokenizer.decode(words[~np.isin(words, [*special])])


def special_ids(
    tokenizer: Tokenizer, decoding: Decoding | None = None
) -> tuple[set[int], set[int], set[int]]:
    """Return the ids that end a caption, those that leave no trace in its words, and those that
    both begin a caption and end one; see ``caption_text``.
    """
    ending = {*_called(tokenizer, END), *(decoding.stop if decoding else ())}
    starting = {*_called(tokenizer, START), *(decoding.start if decoding else ())} or ending
    silent = starting | {*_called(tokenizer, PAD), *(decoding.suppress if decoding else ())}
    if tokenizer.kind == CAPTION and tokenizer.unknown_id is not None:
        silent.add(tokenizer.unknown_id)
    return ending, silent, starting & ending


def _called(tokenizer: Tokenizer, *names: str) -> list[int]:
    """Return the ids of ``names`` that the vocabulary has."""
    found = map(tokenizer.id_of, names)
    return [token_id for token_id in found if token_id is not None]


def _check_kind(tokenizer: Tokenizer) -> None:
    if tokenizer.kind != CAPTION:
        raise UsageError(
            f"the tokenizer is of kind {tokenizer.kind}, expected {CAPTION}; use the one of "
            "the captioner"
        )


def pad_captions(captions: Sequence[np.ndarray], longest: int) -> np.ndarray:
    """Join ids from <start> to <end> into int64 ``[N, T]``, padded; a caption of over ``longest``
    words is cut, its end too.
    """
    cut = [ids[: longest + 1] if len(ids) > longest + 2 else ids for ids in captions]
    table = np.full((len(cut), max(map(len, cut))), PAD_ID, np.int64)
    for row, ids in zip(table, cut, strict=True):
        row[: len(ids)] = ids
    return table
