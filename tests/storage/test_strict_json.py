"""JSON is read strictly: what two readers could take for two things is refused in one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.storage import strict_json

_SAFE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
REFUSED = {
    "equal keys": ('{"a": 1, "b": 2, "a": 1}', "the key 'a' stands twice"),
    "equal keys far inside": ('[{"x": [{"k": 1, "k": 2}]}]', "the key 'k' stands twice"),
    "equal keys, one escaped": ('{"a": 1, "\\u0061": 2}', "the key 'a' stands twice"),
    "a key that garbles": (
        '{"\\u001b[2J": 1, "\\u001b[2J": 2}',
        r"the key '\\x1b\[2J' stands twice",
    ),
    "NaN": ('{"a": NaN}', "NaN, which is no JSON"),
    "minus infinity": ("[-Infinity]", "-Infinity, which is no JSON"),
    "a number beyond float64": ("1e400", "larger than any float64"),
    "an integer of 65 bits": ("18446744073709551616", "more than 64 bits"),
    "an integer of a million digits": ("9" * 1_000_000, "more than 64 bits"),
    "half a surrogate pair": ('["\\ud800"]', "half of a surrogate pair"),
    "half a surrogate pair as a key": ('{"\\udc00": 1}', "half of a surrogate pair"),
    "deep lists": ("[" * 65 + "1" + "]" * 65, "nested more than 64 deep"),
    "very deep lists": ("[" * 100_000, "nested more than 64 deep"),
    "very deep objects": ('{"a":' * 100_000, "nested more than 64 deep"),
    "bytes of another encoding": (b'{"a": "\xe9"}', r"not UTF-8 text \(byte 7\)"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "BOM"),
    "nothing": ("", "Expecting value"),
    "two values": ("1 2", "Extra data"),
}


@pytest.mark.parametrize(("text", "says"), REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        strict_json.parse(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@given(_SAFE)
def test_what_json_can_say_comes_back(value: object) -> None:
    assert strict_json.parse(json.dumps(value)) == value
    assert strict_json.parse(json.dumps(value, ensure_ascii=False).encode()) == value


def test_files_of_our_own_may_hold_what_is_not_finite() -> None:
    assert strict_json.parse('{"best": Infinity}', allow_nan=True) == {"best": float("inf")}


def test_the_deepest_that_is_read() -> None:
    assert strict_json.parse("[" * 64 + "]" * 64)


@pytest.mark.parametrize(
    ("text", "kind"), [("[]", "a list"), ('""', "a string"), ("3", "a number"), ("null", "null")]
)
def test_what_is_no_object_is_named(text: str, kind: str) -> None:
    with pytest.raises(ValueError, match=f"it is {kind}, expected an object"):
        strict_json.parse_object(text)
