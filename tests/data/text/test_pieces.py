"""Pieces lose nothing, stay short, and are cut where no token can straddle."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgernn.data.text.pieces import cut_pieces

TEXTS = st.lists(st.text(alphabet="ab. \n\t", max_size=30), max_size=8)


@given(chunks=TEXTS, length=st.integers(1, 8), longest=st.integers(8, 20))
def test_pieces_join_to_the_text(chunks: list[str], length: int, longest: int) -> None:
    pieces = list(cut_pieces(chunks, length=length, longest=longest))
    assert "".join(pieces) == "".join(chunks)
    assert all(pieces)


@given(chunks=TEXTS)
def test_a_cut_follows_a_newline_or_parts_a_word_from_a_space(chunks: list[str]) -> None:
    longest = 1 + max((len(run) for run in "".join(chunks).split("\n")), default=0)
    pieces = list(cut_pieces(chunks, length=4, longest=longest))
    for before, after in pairwise(pieces):
        assert before.endswith("\n") or (after.startswith(" ") and not before[-1].isspace())


def test_a_long_line_is_cut_before_a_space() -> None:
    pieces = list(cut_pieces(["some words " * 100], length=8, longest=64))
    assert len(pieces) > 10
    assert all(piece.startswith((" ", "some")) and not piece.endswith(" ") for piece in pieces[:-1])


def test_memory_is_bounded_without_any_safe_cut() -> None:
    pieces = list(cut_pieces(["x" * 10_000, "x" * 10_000], length=8, longest=64))
    assert max(map(len, pieces)) <= 4 * 64


def test_a_short_text_is_not_cut() -> None:
    assert list(cut_pieces(["a\nb", "\nc"])) == ["a\nb\nc"]
