"""The pipelines of each kind are what hosts in other languages read."""

from __future__ import annotations

import json

import pytest
import tokenizers
from tokenizers import models

from edgernn.data.token_kinds import CUSTOM, KINDS, build, byte_characters, kind_of
from edgernn.errors import DataError, UsageError

TEXT = ["the cat saw the cat\n", "the dog saw it\n"]


def made(kind: str, minimum_count: int = 1, vocabulary_size: int | None = None) -> tokenizers.Tokenizer:
    return build(TEXT, kind, minimum_count=minimum_count, vocabulary_size=vocabulary_size)


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_read_off_the_structure(kind: str) -> None:
    assert kind_of(tokenizers.Tokenizer.from_str(made(kind).to_str())) == kind


@pytest.mark.parametrize("kind", KINDS)
def test_another_structure_is_custom(kind: str) -> None:
    tokenizer = made(kind)
    tokenizer.add_special_tokens(["<end>"])
    assert kind_of(tokenizer) == CUSTOM


def test_another_vocabulary_is_custom() -> None:
    tokenizer = made("char")
    tokenizer.model = models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")])
    assert kind_of(tokenizer) == CUSTOM
    tokenizer = made("byte")
    tokenizer.model = models.BPE(vocab={"a": 0}, merges=[])
    assert kind_of(tokenizer) == CUSTOM


@pytest.mark.parametrize("kind", KINDS)
def test_building_twice_gives_the_same_file(kind: str) -> None:
    assert made(kind).to_str() == made(kind).to_str()


def test_char_ids_follow_the_order_of_the_characters() -> None:
    assert made("char").get_vocab() == {character: index for index, character in enumerate(sorted(set("".join(TEXT))))}


def test_byte_ids_are_the_byte_values() -> None:
    every_byte = bytes(range(256)).decode("latin-1")
    assert made("byte").encode(every_byte).ids == list(every_byte.encode())
    assert len(set(byte_characters())) == 256


def test_word_ids_follow_the_counts_then_the_text() -> None:
    vocabulary = made("word").get_vocab()
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    assert words == ["<unk>", "\n", " cat", " saw", "the", " dog", " it", " the"]
    assert sorted(made("word", minimum_count=2).get_vocab()) == ["\n", " cat", " saw", "<unk>", "the"]
    assert len(made("word", vocabulary_size=4).get_vocab()) == 4


def test_bpe_has_every_byte_and_merges_within_words() -> None:
    vocabulary = made("bpe").get_vocab()
    assert vocabulary.keys() > set(byte_characters())
    assert "the" in vocabulary
    assert not [token for token in vocabulary if "\u0120" in token[1:] or ("\u010a" in token and len(token) > 1)]
    assert len(made("bpe", vocabulary_size=260).get_vocab()) == 260


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_has_nothing_that_would_cut_or_pad_a_text(kind: str) -> None:
    document = json.loads(made(kind).to_str())
    assert all(document[part] is None for part in ("truncation", "padding", "normalizer", "post_processor"))
    assert document["added_tokens"] == []


def test_limits_that_cannot_hold() -> None:
    with pytest.raises(UsageError, match="no token kind 'letters'; choose one of char, byte, word, bpe"):
        made("letters")
    with pytest.raises(UsageError, match="bpe vocabulary of 255 ids is too small; give at least 256"):
        made("bpe", vocabulary_size=255)
    with pytest.raises(UsageError, match="minimum count of 0"):
        made("word", minimum_count=0)


def test_a_text_that_gives_no_vocabulary() -> None:
    with pytest.raises(DataError, match="the text is empty"):
        build([], "char", minimum_count=1, vocabulary_size=None)
    with pytest.raises(DataError, match="no word of the text occurs 9 times"):
        made("word", minimum_count=9)
