"""The runs of scripts without spaces hold letters, marks and digits alone, and the patterns agree
with Unicode's table.
"""

from __future__ import annotations

import unicodedata

import pytest
import tokenizers
from tokenizers import Regex, pre_tokenizers

from edgernn.data.text import unspaced
from edgernn.data.text.word_patterns import WORD_PATTERN


def test_the_runs_hold_no_punctuation() -> None:
    inside = [chr(code) for first, last in unspaced._RUNS for code in range(first, last + 1)]
    others = {unicodedata.category(character)[0] for character in inside} - set("LMN")
    assert others <= {"C"}, "unassigned code points at most"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ok_go 日本 x1 3.5", ["ok_go", " 日", "本", " x1", " 3", ".", "5"]),
        ("abc日本abc", ["abc", "日", "本", "abc"]),
        ("กำลัง", ["ก", "ำ", "ลั", "ง"]),
        ("เด็ก ฿5", ["เ", "ด็", "ก", " ฿", "5"]),
        ("naïve cafe\u0301", ["naïve", " cafe\u0301"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    cutter: tokenizers.pre_tokenizers.PreTokenizer = pre_tokenizers.Split(
        Regex(WORD_PATTERN), behavior="isolated"
    )
    assert [piece for piece, _ in cutter.pre_tokenize_str(text)] == words
