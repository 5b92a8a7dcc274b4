"""Paths of a bundle mean one file on every system."""

from __future__ import annotations

import pytest

from edgernn.storage import inner_paths

STRANGE = [
    "CON",
    "nul.onnx",
    "onnx/COM1.txt",
    "a.",
    "a /b",
    "what?.onnx",
    "a|b",
    "a//b",
    "a/",
    "./a",
    "._a",
    "x" * 256,
    "a/" * 600,
]
STRANGE += ["\u00e9" * 128]  # two bytes each
SAME = [
    ("a", "a"),
    ("onnx/Step.onnx", "onnx/step.onnx"),
    ("\u00e9", "e\u0301"),
    ("stra\u00dfe", "STRASSE"),
]


@pytest.mark.parametrize("path", STRANGE)
def test_a_name_that_some_system_does_not_take_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="the path"):
        inner_paths.checked(path)


@pytest.mark.parametrize(
    "path", ["a", "onnx/step-int8.onnx", "caf\u00e9/\u4e2d.json", "console.txt", "com10", ".a"]
)
def test_others_are_welcome(path: str) -> None:
    assert inner_paths.checked(path) == path


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_paths_that_are_one_file_somewhere_clash(one: str, other: str) -> None:
    assert inner_paths.clash([one, "between", other])


def test_a_path_below_one_that_is_listed_as_a_whole_clashes() -> None:
    assert "lies in 'coreml/step.mlpackage'" in inner_paths.clash(
        ["coreml/step.mlpackage", "Coreml/step.mlpackage/x"]
    )
    assert inner_paths.clash(["a", "ab", "a.b/c", "a.b/d"]) == ""
