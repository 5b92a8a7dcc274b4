"""Characters and bytes whose ids are given: those ids, and errors that name what is unknown."""

from __future__ import annotations

import pytest

from edgernn.data.text.given_vocabulary import of_bytes, of_characters
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError


def test_characters_in_any_order() -> None:
    made = Tokenizer.from_json(of_characters({"b": 0, "\u00e9": 2, "a": 1}).to_str())
    assert made.kind == "char"
    assert made.encode("ab\u00e9").tolist() == [1, 0, 2]
    assert made.decode([2, 0]) == "\u00e9b"


def test_some_bytes_in_any_order() -> None:
    made = Tokenizer.from_json(of_bytes({0xC3: 0, 0xA9: 2, 0x41: 1}).to_str())
    assert (made.kind, made.vocabulary_size) == ("custom", 3)
    assert made.encode("A\u00e9").tolist() == [1, 0, 2]
    assert made.decode([1, 0, 2]) == "A\u00e9"
    assert made.encode("A\u00eb", on_unknown="skip").tolist() == [1, 0]
    with pytest.raises(DataError, match=r"has no .*xab.*; it knows 3 bytes"):
        made.encode("A\u00eb")


def test_all_bytes_in_their_order_are_the_kind_byte() -> None:
    made = Tokenizer.from_json(of_bytes({byte: byte for byte in range(256)}).to_str())
    assert made.kind == "byte"
    assert made.encode("\u00e9\n").tolist() == [0xC3, 0xA9, 10]
