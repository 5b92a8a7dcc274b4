"""Where quotations, comments, brackets and conditions are, character by character."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.reading.features import indentation, line_position
from edgernn.reading.scanning import scan


def marks(course: np.ndarray) -> str:
    return "".join(str(int(value)) for value in course)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("a = 'bc' + d", "000011100000"),
        ('x("a\'b")', "00111100"),
        (r"'a\'b' c", "11111000"),
        ("'''a'b''' c", "11111100000"),
        ("it's a don't", "000000000000"),
        ("rb'x' f'y'", "0011000110"),
        ("'open\nnext", "1111100000"),
        ("# 'a' b\n'c'", "00000000110"),
    ],
)
def test_quotations(text: str, inside: str) -> None:
    assert marks(scan(text).quoted) == inside


def test_comments_end_with_their_line_and_a_mark_in_a_quotation_is_none() -> None:
    assert marks(scan("a # b(\n'#' c").comment) == "001111000000"


def test_brackets_outside_of_quotations_and_comments() -> None:
    assert marks(scan("f(a[1], '(') # (\n)").depth) == "011221111110000000"
    assert marks(scan("))(").depth) == "001"


def test_a_condition_reaches_to_its_own_colon() -> None:
    text = "if a[1:2]:\n  while b: if c:\nnotif x:\nelif y:"
    in_it = "11111111100" + "001111111" + "0000000" + "0" + "000000000" + "1111110"
    assert marks(scan(text).condition) == in_it


def test_lines_and_indentation() -> None:
    assert line_position("ab\ncd\n").tolist() == [1, 2, 0, 1, 2, 0]
    assert indentation("  a b\nc\n    d").tolist() == [1, 2, 2, 2, 2, 0, 0, 0, 1, 2, 3, 4, 4]
