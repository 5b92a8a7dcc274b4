"""Tokenizers of vocabularies that are given, whatever the order of their ids, and the table that
encodes text of a tokenizer.
"""

from __future__ import annotations

import tokenizers
from tokenizers import models

from edgernn.data.text.spaced import SPACED
from edgernn.data.text.tables import Bytes, Characters, SpacedWords, Table
from edgernn.data.text.token_kinds import KINDS, anatomy, byte_characters


def of_characters(vocabulary: dict[str, int]) -> tokenizers.Tokenizer:
    """Return the tokenizer of a vocabulary of single characters, character → id."""
    tokenizer = KINDS["char"].pipeline()
    tokenizer.model = models.BPE(vocab=vocabulary, merges=[])
    return tokenizer


def of_bytes(vocabulary: dict[int, int]) -> tokenizers.Tokenizer:
    """Return the tokenizer of some bytes with ids of their own, byte → id; of kind ``"custom"``
    unless it has all bytes in their order.
    """
    spelled, tokenizer = byte_characters(), KINDS["byte"].pipeline()
    named = {spelled[byte]: token_id for byte, token_id in vocabulary.items()}
    tokenizer.model = models.BPE(vocab=named, merges=[])
    return tokenizer


def table_of(kind: str, tokenizer: tokenizers.Tokenizer) -> Table | None:
    """Return the table that encodes text of a tokenizer of ``kind``; None where the library
    does.
    """
    structure, vocabulary, merges = anatomy(tokenizer)
    if kind == "char":
        return Characters(vocabulary)
    if kind == SPACED:
        return SpacedWords(vocabulary)
    spelled = byte_characters()
    by_byte = structure == anatomy(KINDS["byte"].pipeline())[0] and not merges
    return Bytes(vocabulary, spelled) if by_byte and vocabulary.keys() <= set(spelled) else None
