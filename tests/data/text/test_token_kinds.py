"""The pipelines of each kind are what hosts in other languages read."""

from __future__ import annotations

import json

import pytest
import tokenizers
from tokenizers import models

from edgernn.data.text.token_kinds import (
    CUSTOM,
    END,
    KINDS,
    PAD,
    START,
    UNKNOWN,
    build,
    byte_characters,
    kind_of,
)
from edgernn.errors import DataError, UsageError

TEXT = ["the cat saw the cat\n", "the dog saw it\n"]


def made(
    kind: str, minimum_count: int = 1, vocabulary_size: int | None = None
) -> tokenizers.Tokenizer:
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
    tokenizer = made("caption")
    tokenizer.model = models.WordLevel(
        {UNKNOWN: 0, PAD: 1, START: 2, END: 3, "cat": 4}, unk_token=UNKNOWN
    )
    assert kind_of(tokenizer) == CUSTOM


@pytest.mark.parametrize("kind", KINDS)
def test_building_twice_gives_the_same_file(kind: str) -> None:
    assert made(kind).to_str() == made(kind).to_str()


def test_char_ids_follow_the_order_of_the_characters() -> None:
    assert made("char").get_vocab() == {
        character: index for index, character in enumerate(sorted(set("".join(TEXT))))
    }


def test_byte_ids_are_the_byte_values() -> None:
    every_byte = bytes(range(256)).decode("latin-1")
    assert made("byte").encode(every_byte).ids == list(every_byte.encode())
    assert len(set(byte_characters())) == 256


def test_word_ids_follow_the_counts_then_the_text() -> None:
    vocabulary = made("word").get_vocab()
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    assert words == ["<unk>", "\n", " cat", " saw", "the", " dog", " it", " the"]
    assert sorted(made("word", minimum_count=2).get_vocab()) == [
        "\n",
        " cat",
        " saw",
        "<unk>",
        "the",
    ]
    assert len(made("word", vocabulary_size=4).get_vocab()) == 4


def test_bpe_has_every_byte_and_merges_within_words() -> None:
    vocabulary = made("bpe").get_vocab()
    assert vocabulary.keys() > set(byte_characters())
    assert "the" in vocabulary
    assert not [
        token
        for token in vocabulary
        if "\u0120" in token[1:] or ("\u010a" in token and len(token) > 1)
    ]
    assert len(made("bpe", vocabulary_size=260).get_vocab()) == 260


CAPTIONS = """A man's T-shirt, don\u2019t touch: it is wet!
Two men -- 'really' -- in 2 t-shirts, rock'n'roll, well-\u2010 ab-cd'e; <end> na\u00efve\uff01
"""


def captions_of(
    text: str, minimum_count: int = 1, vocabulary_size: int | None = None
) -> tokenizers.Tokenizer:
    return build([text], "caption", minimum_count=minimum_count, vocabulary_size=vocabulary_size)


def test_a_caption_is_its_words_in_lower_case_one_space_apart() -> None:
    tokenizer = captions_of(CAPTIONS)
    lines = [tokenizer.decode(tokenizer.encode(line).ids) for line in CAPTIONS.splitlines()]
    assert lines == [
        "a man's t-shirt don\u2019t touch it is wet",
        "two men really in 2 t-shirts rock'n'roll well ab-cd'e end na\u00efve",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "Nai\u0308ve \ufb01sh \uff21\uff22 \u00bd",
            "na\u00efve fish ab 1 2",
        ),  # composed, and compatible forms
        (
            "\u65e5\u672c\u8a9e\u3002 \u0928\u092e\u0938\u094d\u0924\u0947",
            "\u65e5 \u672c \u8a9e \u0928\u092e\u0938\u094d\u0924\u0947",
        ),
        ("dog_house cat/dog 3.5 a.m.", "dog house cat dog 3 5 a m"),
        ("non\u2011stop -word- ''quoted'' dogs'", "non\u2010stop word quoted dogs"),
        ("I do not. 's n't", "i do not s n't"),  # which some decoders write as "i don't"
        (" .,!? \n\t\U0001f600", ""),
    ],
)
def test_what_is_a_word_of_a_caption(text: str, words: str) -> None:
    tokenizer = captions_of(text + "\nx")
    assert tokenizer.decode(tokenizer.encode(text).ids) == words


def test_caption_ids_begin_with_the_special_ones_then_follow_the_counts() -> None:
    text = "The dog saw a cat.\nA dog saw the CAT!\nA zebra, an ant\n"
    vocabulary = captions_of(text).get_vocab()
    words = sorted(vocabulary, key=vocabulary.__getitem__)
    assert words == [
        PAD,
        START,
        END,
        UNKNOWN,
        "a",
        "cat",
        "dog",
        "saw",
        "the",
        "an",
        "ant",
        "zebra",
    ]
    assert len(captions_of(text, minimum_count=2).get_vocab()) == 9
    assert len(captions_of(text, vocabulary_size=6).get_vocab()) == 6
    with pytest.raises(
        UsageError, match="caption vocabulary of 4 ids is too small; give at least 5"
    ):
        captions_of(text, vocabulary_size=4)


@pytest.mark.parametrize(
    "text", ["<end>", "<pad> <start> <end> <unk>", "a <end> cat", "<END>", "<unk>"]
)
def test_no_text_of_a_caption_gives_a_special_id(text: str) -> None:
    knowing = captions_of("end pad start unk a cat\n" + text)
    assert min(knowing.encode(text).ids) > 3
    rare = captions_of("a cat\n")
    assert {index for index in rare.encode(text).ids if index < 4} == {3}


@pytest.mark.parametrize("length", [1, 2, 7, 50])
def test_captions_may_be_cut_anywhere(length: int) -> None:
    chunks = [CAPTIONS[start : start + length] for start in range(0, len(CAPTIONS), length)]
    assert (
        build(chunks, "caption", minimum_count=1, vocabulary_size=None).to_str()
        == captions_of(CAPTIONS).to_str()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_has_nothing_that_would_cut_or_pad_a_text(kind: str) -> None:
    document = json.loads(made(kind).to_str())
    assert all(document[part] is None for part in ("truncation", "padding", "post_processor"))
    assert (document["normalizer"] is None) == (kind != "caption")
    assert document["added_tokens"] == []


def test_limits_that_cannot_hold() -> None:
    with pytest.raises(
        UsageError, match="no token kind 'letters'; expected one of char, byte, word, bpe, caption"
    ):
        made("letters")
    with pytest.raises(
        UsageError, match="bpe vocabulary of 255 ids is too small; give at least 256"
    ):
        made("bpe", vocabulary_size=255)
    with pytest.raises(UsageError, match="minimum count of 0"):
        made("word", minimum_count=0)


def test_a_text_that_gives_no_vocabulary() -> None:
    with pytest.raises(DataError, match="the text is empty"):
        build([], "char", minimum_count=1, vocabulary_size=None)
    with pytest.raises(DataError, match="no word of the text occurs 9 times"):
        made("word", minimum_count=9)
    with pytest.raises(DataError, match="no word of the text occurs 1 times"):
        captions_of("... !\n")
