"""What is read as a repository, and what as a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgernn.errors import UsageError
from edgernn.hub.target import Repository, target_of


@pytest.mark.parametrize("text", ["ann/tiny", "hf://ann/tiny"])
def test_a_repository(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert target_of(text) == Repository("ann/tiny")


@pytest.mark.parametrize("text", ["./ann/tiny", "/ann/tiny", "tiny", "a/b/c", "../tiny", "b.zip"])
def test_a_path(text: str) -> None:
    assert target_of(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://hub.example/ann/tiny", "is an address, expected OWNER/NAME"),
        ("hf://ann", "names no repository"),
        ("hf://ann/tiny/more", "names no repository"),
        ("hf_abcdefghijkl", "a token was given as an argument"),
    ],
)
def test_what_is_neither(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as raised:
        target_of(text)
    assert "abcdefghijkl" not in str(raised.value)


def test_a_path_that_could_be_a_repository_is_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ann" / "tiny").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"write ./ann/tiny or hf://ann/tiny"):
        target_of("ann/tiny")
