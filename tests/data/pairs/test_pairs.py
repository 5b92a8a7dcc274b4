"""The built-in pairs, the ids of pairs, and files of them."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import numpy as np
import pytest

from edgernn.data.pairs.built_in import built_in_pairs
from edgernn.data.pairs.dates import written
from edgernn.data.pairs.numbers import spelled
from edgernn.data.pairs.pair_file import read_pairs, split_pairs
from edgernn.data.pairs.pair_ids import padded, pair_tokenizer, source_ids, target_ids
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError, UsageError


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (342, "three hundred forty-two"),
        (20_000, "twenty thousand"),
        (70_008, "seventy thousand eight"),
        (99_999, "ninety-nine thousand nine hundred ninety-nine"),
    ],
)
def test_numbers_are_spelled(number: int, words: str) -> None:
    assert spelled(number) == words


def test_dates_are_written() -> None:
    assert written(datetime.date(1987, 3, 5)) == (
        "5 March 1987",
        "Thursday, 5 March 1987",
        "March 5, 1987",
        "Thursday, March 5, 1987",
        "March 5th, 1987",
        "the 5th of March 1987",
        "Thu 5 Mar 1987",
        "5-Mar-1987",
        "Mar 5 1987",
        "5.3.1987",
    )
    ordinals = [written(datetime.date(2000, 1, day))[4] for day in (1, 2, 3, 11, 12, 13, 22)]
    assert [re.findall(r"\d+(..),", text)[0] for text in ordinals] == [
        "st", "nd", "rd", "th", "th", "th", "nd",
    ]  # fmt: skip


def test_no_held_out_combination_is_trained_on() -> None:
    pairs = built_in_pairs(count=4000, validation=400)
    assert (len(pairs.train), len(pairs.validation)) == (4000, 400)

    def combinations(of: tuple[tuple[str, str], ...]) -> list[set[str]]:
        """Return of each pair its groups of three digits, or its month and day."""
        found = []
        for pair in of:
            iso = [text for text in pair if re.fullmatch(r"\d{4}-\d\d-\d\d", text)]
            digits = [text for text in pair if text.isdigit()]
            found.append(
                {iso[0][5:]} if iso else {f"{int(digits[0]):06d}"[at:][:3] for at in (0, 3)}
            )
        return found

    trained = set().union(*combinations(pairs.train))
    assert all(each - trained for each in combinations(pairs.validation))
    assert built_in_pairs(count=50, validation=5).train == pairs.train[:50]
    assert built_in_pairs(count=50, validation=5, seed=1).train != pairs.train[:50]
    with pytest.raises(UsageError, match=r"pairs .date.; expected .* mean dates"):
        built_in_pairs("date")


def test_ids_have_marks_before_the_characters_of_both_sides() -> None:
    tokenizer = pair_tokenizer([("ab", "12"), ("b", "<2")])
    assert tokenizer.kind == Tokenizer.from_json(tokenizer.to_json()).kind == "char"
    assert [tokenizer.token(at) for at in range(8)] == [
        "␀", "␂", "␃", "1", "2", "<", "a", "b",
    ]  # fmt: skip
    rows = [source_ids(tokenizer, "ab"), target_ids(tokenizer, "<2")]
    np.testing.assert_array_equal(padded(rows), [[6, 7, 0, 0], [1, 5, 4, 2]])
    with pytest.raises(DataError, match="no 'c'"):
        source_ids(tokenizer, "abc")
    with pytest.raises(DataError, match="has the character '␂', which marks"):
        pair_tokenizer([("a␂", "b")])
    assert source_ids(tokenizer, "acb", on_unknown="skip").tolist() == [6, 7]
    with pytest.raises(DataError, match="has the character '␀', which marks padding"):
        source_ids(tokenizer, "a␀b")
    assert source_ids(tokenizer, "␂a␀b", on_unknown="skip").tolist() == [6, 7]


def test_a_file_of_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{n}\tnumber {n}\n\n" for n in range(30)) + "3\tthree\n")
    pairs = read_pairs(path)
    assert len(pairs) == 31 and pairs[1] == ("1", "number 1")
    parts = split_pairs(pairs, path, share=0.2, seed=0)
    assert len({source for source, _ in parts.validation}) == 6
    assert not {source for source, _ in parts.validation} & {source for source, _ in parts.train}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\nno tab\n", r"pairs.tsv, line 2: it has 0 tabs, expected 1"),
        (b"a\tb\tc\n", r"line 1: it has 2 tabs"),
        (b"a\t \n", r"line 1: its target has 0 characters, expected 1 to 1000"),
        (b"a\t\xff\n", r"pairs.tsv is no UTF-8 text"),
        ("a\tb\na\t␃\n".encode(), r"pairs.tsv, line 2: its target has the character '␃'"),
        ("a\x85\u2028b\tc\x0bd\r\n\rno tab\r".encode(), r"pairs.tsv, line 3: it has 0 tabs"),
    ],
)
def test_a_bad_row_is_told_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_pairs(path)


def test_a_line_ends_as_editors_end_it(tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_bytes("a\u2028b\tc\x85d\re\tf\r\ng\th\n".encode())
    assert read_pairs(path) == (("a\u2028b", "c\x85d"), ("e", "f"), ("g", "h"))


def test_too_few_pairs_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 different sources, expected 20 or more"):
        split_pairs((("a", "b"),), tmp_path / "pairs.tsv", share=0.1, seed=0)
