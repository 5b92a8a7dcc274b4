"""Captions as ids, and back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgernn.contract import Decoding
from edgernn.data.pictures.caption_ids import (
    END_ID,
    PAD_ID,
    START_ID,
    UNKNOWN_ID,
    caption_text,
    encode_caption,
    pad_captions,
)
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError, UsageError

TOKENIZER = Tokenizer.build(["A black cat.\nA cat on a mat.\n"] * 2, "caption")


def test_a_caption_as_ids_and_back() -> None:
    ids = encode_caption(TOKENIZER, "A cat, on <end> the MAT!")
    assert ids.dtype == np.int64
    words = [TOKENIZER.token(index) for index in ids.tolist()]
    assert words == ["<start>", "a", "cat", "on", "<unk>", "<unk>", "mat", "<end>"]
    assert [START_ID, END_ID, PAD_ID, UNKNOWN_ID] == [1, 2, 0, 3]
    assert caption_text(TOKENIZER, ids) == "a cat on mat"
    assert encode_caption(TOKENIZER, " .").tolist() == [START_ID, END_ID]


@pytest.mark.parametrize("container", [list, np.array])
def test_a_text_ends_at_the_end(container: type) -> None:
    a, cat = TOKENIZER.encode("a cat").tolist()
    assert (
        caption_text(
            TOKENIZER, container([PAD_ID, START_ID, a, UNKNOWN_ID, cat, END_ID, a, PAD_ID])
        )
        == "a cat"
    )
    assert caption_text(TOKENIZER, container([a, cat])) == "a cat"
    assert caption_text(TOKENIZER, container([END_ID, cat])) == ""
    assert caption_text(TOKENIZER, container([])) == ""


def test_ids_and_tokenizers_of_another_make() -> None:
    with pytest.raises(DataError, match="there is no token 99"):
        caption_text(TOKENIZER, [99])
    words = Tokenizer.build(["a cat\n" * 2], "word")
    with pytest.raises(UsageError, match="the tokenizer is of kind word, expected caption"):
        caption_text(words, [1])
    with pytest.raises(UsageError, match="the tokenizer is of kind word, expected caption"):
        encode_caption(words, "a cat")


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (0, [1, 2]),
        (3, [1, 10, 11, 12, 2]),
        (4, [1, 10, 11, 12, 13, 2]),
        (5, [1, 10, 11, 12, 13]),
        (9, [1, 10, 11, 12, 13]),
    ],
    ids=str,
)
def test_a_caption_that_is_too_long_is_cut_and_has_no_end(words: int, kept: list[int]) -> None:
    ids = np.array([1, *range(10, 10 + words), 2])
    table = pad_captions([ids, np.array([1, 9, 2])], 4)
    assert table.dtype == np.int64
    assert table[0].tolist() == kept + [PAD_ID] * (table.shape[1] - len(kept))
    assert table[1].tolist() == [1, 9, 2] + [PAD_ID] * (table.shape[1] - 3)


def of_words(vocabulary: dict[str, int]) -> Tokenizer:
    """Return the tokenizer of a vocabulary that is numbered elsewhere."""
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}
    names = ("truncation", "padding", "normalizer", "post_processor", "decoder")
    rest = {**dict.fromkeys(names), "pre_tokenizer": {"type": "WhitespaceSplit"}}
    content = {"version": "1.0", "added_tokens": [], **rest, "model": model}
    return Tokenizer.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("vocabulary", "decoding", "ids", "text"),
    [
        # 0 begins, ends and pads
        (["<end>", "a", "dog", "<unk>"], Decoding(start=(0,), stop=(0,)), [1, 2], "a dog"),
        (["<end>", "a", "dog", "<unk>"], Decoding(start=(0,), stop=(0,)), [0, 1, 2, 0, 2], "a dog"),
        (["<end>", "a", "dog", "<unk>"], Decoding(start=(0,), stop=(0,)), [], ""),
        # special ids behind the words
        (["<pad>", "a", "dog", "<unk>", "<start>", "<end>"], Decoding(start=(4,), stop=(5,)),
         [4, 1, 2, 3, 5, 0, 1], "a dog <unk>"),
        # nothing stops: what the vocabulary calls the end does
        (["<pad>", "<start>", "<end>", "<unk>", "a", "dog"], Decoding(start=(1,), length=20),
         [1, 4, 5, 2, 5, 5], "a dog"),
        (["<pad>", "<start>", "<end>", "<unk>", "a", "dog"], Decoding(suppress=(5,)), [4, 5], "a"),
    ],
)  # fmt: skip
def test_words_by_the_ids_of_another_vocabulary(
    vocabulary: list[str], decoding: Decoding, ids: list[int], text: str
) -> None:
    tokenizer = of_words({word: at for at, word in enumerate(vocabulary)})
    assert caption_text(tokenizer, ids, decoding) == text
    with pytest.raises(UsageError, match="of kind custom, expected caption"):
        caption_text(tokenizer, ids)
