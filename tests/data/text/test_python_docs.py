"""The built-in corpus is there, clean, large enough and always the same."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from edgernn.data.text import python_docs
from edgernn.errors import UnavailableError


@pytest.fixture(scope="module")
def pieces() -> list[str]:
    return list(python_docs.read_chunks())


def test_it_is_always_the_same_and_nothing_is_imported(pieces: list[str]) -> None:
    before = set(sys.modules)
    assert list(python_docs.read_chunks()) == pieces
    assert set(sys.modules) == before


def test_it_is_large_and_its_alphabet_small(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert len(text) > 500_000
    assert set(text) <= {"\n", *map(chr, range(32, 127))}


def test_every_piece_is_new_long_enough_and_ends_with_a_blank_line(pieces: list[str]) -> None:
    assert len(set(pieces)) == len(pieces)
    for piece in pieces:
        assert piece.endswith("\n\n")
        assert len(piece.strip("\n")) >= 40
        assert not piece.startswith("\n")


def test_topics_come_before_docstrings(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert text.index('The "assert" statement') < text.index(
        "Abstract Base Classes (ABCs) according to PEP 3119."
    )


def library_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, **topics: str
) -> list[str]:
    (tmp_path / "abc.py").write_text(source, "utf-8")
    (tmp_path / "sitecustomize.py").write_text(
        '"""Not of the standard library, so it is left out of the corpus."""\n'
    )
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    monkeypatch.setattr("pydoc_data.topics.topics", topics)
    return list(python_docs.read_chunks())


LONG = "It is long enough to be kept as a piece of the corpus."


def test_docstrings_come_in_the_order_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f'''"""Module. {LONG}"""
class A:
    """Class. {LONG}"""
    async def b(self):
        """Method. {LONG}

            Indented.\tTab.
        Back.
        """
def c():
    """Function. {LONG}"""
def d():
    """Function. {LONG}"""
def e():
    """Short."""
x = "\\d"
'''
    assert library_of(tmp_path, monkeypatch, source) == [
        f"Module. {LONG}\n\n",
        f"Class. {LONG}\n\n",
        f"Method. {LONG}\n\n    Indented.   Tab.\nBack.\n\n",
        f"Function. {LONG}\n\n",
    ]


def test_topics_come_in_the_order_of_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = library_of(tmp_path, monkeypatch, "", b=f"B. {LONG}\n", a=f"\nA. {LONG}")
    assert pieces == [f"A. {LONG}\n\n", f"B. {LONG}\n\n"]


def test_typography_becomes_ascii_and_foreign_paragraphs_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        f'"""\u201cQuoted\u201d \u2013 it\u2019s\u2026 {LONG}\n\nThe \u00e9 is '
        'foreign.\n\nLast.\n"""\n'
    )
    assert library_of(tmp_path, monkeypatch, source) == [f'"Quoted" - it\'s... {LONG}\n\nLast.\n\n']


def test_a_python_without_its_documentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    with pytest.raises(UnavailableError, match=r"no sources in .*; give --data FILE"):
        list(python_docs.read_chunks())
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(UnavailableError, match=r"no pydoc_data\.topics; give --data FILE"):
        list(python_docs.read_chunks())
