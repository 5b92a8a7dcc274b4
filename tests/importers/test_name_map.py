"""Names of one's own: lines, JSON, patterns, and what is no map."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from edgernn.errors import DataError, UsageError
from edgernn.importers.name_map import read_map, renamed

NAMES = ("net.rnn.U0", "net.rnn.U12", "out.w", "other")


def test_lines_and_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("# mine\nout.w = decoder.weight\n\nnet.* = *\n")
    (tmp_path / "json").write_text('{"out.w": "decoder.weight", "net.*": "*"}')
    assert read_map(tmp_path / "lines") == read_map(tmp_path / "json")
    found = renamed(NAMES, read_map(tmp_path / "lines"))
    assert found == {"net.rnn.U0": "rnn.U0", "net.rnn.U12": "rnn.U12", "out.w": "decoder.weight"}


def test_numbers_of_layers() -> None:
    found = renamed(NAMES, {"*.rnn.U{l}": "layer_{l}.*"})
    assert found == {"net.rnn.U0": "layer_0.net", "net.rnn.U12": "layer_12.net"}


def test_two_hundred_thousand_names_take_no_time_each() -> None:
    names = [f"net.layer.{number}.w" for number in range(200_000)]
    rules = {**{name: f"own.{name}" for name in names[:20_000]}, "net.*": "*"}
    begun = time.process_time()
    found = renamed(names, rules)
    assert time.process_time() - begun < 5  # of the square, minutes
    assert found[names[0]] == "own.net.layer.0.w" and found[names[-1]] == "layer.199999.w"
    assert len(found) == len(names)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"out.x": "a"}, "no tensor is called so.*did you mean out.w"),
        ({"net.*": "same"}, "the name 'same' to more than one tensor"),
        ({"out.w": "other"}, "the name 'other' to more than one tensor"),
    ],
)
def test_rules_that_fit_nothing_or_too_much(rules: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        renamed(NAMES, rules)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", "line 1 is 'a b'"),
        ("a = b\na = c", "line 2 renames 'a' a second time"),
        ("a = b*", "on the right without one on the left"),
        ("**a = b", "without one on the left"),
        ('{"a": 3}', "'a' goes to 3"),
        ('{"a": ', "is no map of names"),
        ("", "has no names"),
        ("\x00\xff", "is no map of names"),
    ],
)
def test_what_is_no_map_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "map").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=words.replace("*", r"\*")):
        read_map(tmp_path / "map")
