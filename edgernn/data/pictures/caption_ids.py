"""A caption as the ids that a captioner reads and writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgernn.contract import Decoding
from edgernn.data.text.token_kinds import CAPTION, END, PAD, START
from edgernn.data.text.tokenizer import Ids, Tokenizer
from edgernn.errors import UsageError

PAD_ID, START_ID, END_ID, UNKNOWN_ID = range(4)  # as the token kind "caption" numbers them
_SPECIAL_IDS = (PAD_ID, START_ID, END_ID, UNKNOWN_ID)


def encode_caption(tokenizer: Tokenizer, text: str) -> npt.NDArray[np.int64]:
    """Return the ids of a caption, int64 ``[N]``: ``START_ID``, its words, ``END_ID``; rare words
    are ``UNKNOWN_ID``.

    Raises:
        UsageError: the tokenizer is not of kind caption.
        DataError: the text is no valid Unicode.
    """
    _check_kind(tokenizer)
    return np.concatenate([[START_ID], tokenizer.encode(text), [END_ID]]).astype(np.int64)  # [N]


def caption_text(
    tokenizer: Tokenizer, ids: Sequence[int] | Ids, decoding: Decoding | None = None
) -> str:
    """Return the words of ids ``[N]`` up to the first that ends a caption, one space apart; no
    special id leaves a trace.

    Which those are a tokenizer of kind caption says itself. Of another they are the start, stop and
    suppressed ids of ``decoding``, and what the vocabulary calls <start>, <end> and <pad>; an id
    that begins a caption and ends it ends nothing where it comes first.

    Raises:
        UsageError: the tokenizer is of another kind, and no ``decoding`` was given.
        DataError: an id is outside the vocabulary.
    """
    if decoding is None:
        _check_kind(tokenizer)
    array = np.asarray(ids, dtype=np.int64)  # [N]
    if tokenizer.kind == CAPTION or decoding is None:
        ending, special = [END_ID], [*_SPECIAL_IDS]
    else:
        starting, ending = [*decoding.start], [*decoding.stop, *_called(tokenizer, array, END)]
        array = array[1:] if len(array) and array[0] in {*starting} & {*ending} else array
        special = [*starting, *decoding.suppress, *_called(tokenizer, array, START, PAD)]
    ends = np.flatnonzero(np.isin(array, ending))
    words = array[: ends[0]] if ends.size else array
    return tokenizer.decode(words[~np.isin(words, special)])


def _called(tokenizer: Tokenizer, ids: np.ndarray, *names: str) -> list[int]:
    """Return which of ``ids`` the vocabulary calls one of ``names``."""
    return [token for token in np.unique(ids).tolist() if tokenizer.token(token) in names]


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
