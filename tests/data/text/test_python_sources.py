"""The corpus of programs is Python, clean, large enough and always the same."""

from __future__ import annotations

import ast
import sys
import sysconfig
import warnings
from pathlib import Path

import pytest

from edgernn.data.text import python_sources
from edgernn.errors import UnavailableError


def test_it_is_large_its_alphabet_small_and_it_stays_the_same() -> None:
    before = set(sys.modules)
    pieces = list(python_sources.read_chunks())
    assert list(python_sources.read_chunks()) == pieces
    assert set(sys.modules) == before
    assert sum(map(len, pieces)) > 2_000_000
    assert set("".join(pieces)) <= {"\n", *map(chr, range(32, 127))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for piece in pieces[::20]:
            ast.parse(piece)


def test_tabs_ends_of_lines_and_foreign_characters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    (tmp_path / "abc.py").write_bytes(b"\n\nif x:  \r\n\ty = 1\n\n\n")
    (tmp_path / "ast.py").write_text("# \u00e9\n", "utf-8")
    (tmp_path / "sitecustomize.py").write_text("own = 1\n")
    assert list(python_sources.read_chunks()) == ["if x:\n        y = 1\n\n"]


def test_a_python_without_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    with pytest.raises(UnavailableError, match="give --data FILE"):
        list(python_sources.read_chunks())
