"""The counting texts hold what they say, in lengths up to the longest, and always the same."""

from __future__ import annotations

import re

import pytest

from edgernn.data.text import counting
from edgernn.data.text.source import open_source


@pytest.mark.parametrize(("name", "letters"), [("counting-ab", "ab"), ("counting-abc", "abc")])
def test_every_line_has_each_letter_as_often(name: str, letters: str) -> None:
    with open_source(name) as source:
        text = "".join(source.chunks())
        assert "".join(source.chunks()) == text
    lines = text.splitlines()
    assert len(lines) == 8000
    lengths = set()
    for line in lines:
        runs = re.fullmatch("".join(f"({letter}+)" for letter in letters), line)
        assert runs is not None
        (n,) = {len(run) for run in runs.groups()}
        lengths.add(n)
    assert lengths == set(range(1, counting.LONGEST + 1))


def test_whether_a_line_goes_on_depends_on_nothing() -> None:
    """Of the lines that reach n, the same share ends there, but for those near the longest."""
    lines = "".join(counting.read_chunks("ab", lines=20_000, seed=3)).split()
    counts = [len(line) // 2 for line in lines]
    for n in (1, 3, 6, 9):
        reached = sum(count >= n for count in counts)
        ending = sum(count == n for count in counts) / reached
        assert ending == pytest.approx(1 / 8, abs=0.03)


def test_the_decided_places_are_those_after_the_first_b() -> None:
    assert counting.line("abc", 2) == "aabbcc\n"
    places = counting.decided("abc", 2)
    assert [counting.line("abc", 2)[place] for place in places] == ["b", "c", "c", "\n"]
    assert [counting.line("ab", 1)[place] for place in counting.decided("ab", 1)] == ["\n"]
