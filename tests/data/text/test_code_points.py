"""Characters looked up by their code points, and text that UTF-8 cannot hold."""

from __future__ import annotations

import pytest

from edgernn.data.text.code_points import character_table, code_points, encodable, look_up
from edgernn.errors import DataError


def test_known_characters_have_their_ids_and_all_others_none() -> None:
    table = character_table({"a": 0, "\u00e4": 2, "\U0001f600": 1})
    text = "a\u00e4\U0001f600b\U0010ffff"
    assert look_up(table, code_points(text)).tolist() == [0, 2, 1, -1, -1]


def test_a_lone_surrogate_is_refused_or_left_out() -> None:
    with pytest.raises(DataError, match="which stands for a byte that is not UTF-8"):
        encodable("a\udcffb", skip=False)
    assert encodable("a\udcffb", skip=True) == "ab"


def test_what_is_no_text() -> None:
    with pytest.raises(DataError, match="the text is bytes, expected str"):
        encodable(b"a", skip=True)
