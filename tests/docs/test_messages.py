"""The page of troubleshooting: each message on it is one that the program can still say."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs/MESSAGES.md"
LEFT_OUT = "…"


def _messages() -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def _text(node: ast.AST) -> str:
    """The text of an expression, with … for what is only known when it runs."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return LEFT_OUT


@cache
def _said() -> list[str]:
    """Every text of two words or more in the sources."""
    modules = [path for room in ("edgernn", "export") for path in (ROOT / room).rglob("*.py")]
    nodes = [node for path in modules for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    return [text for text in map(_text, nodes) if " " in text]


def _pieces(message: str) -> list[str]:
    return [piece for piece in message.split(LEFT_OUT) if piece.strip(" ;:()")]


def _is_said(message: str) -> bool:
    """Whether some text has the pieces of a message, one after the other."""
    return any(_follow(_pieces(message), text) for text in _said())


def _follow(pieces: list[str], text: str) -> bool:
    place = 0
    for piece in pieces:
        found = text.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return True


@pytest.mark.parametrize("message", _messages())
def test_the_program_says_it(message: str) -> None:
    assert _is_said(message), f"no text of the sources is: {message}"


def test_a_message_is_long_enough_to_be_found_by() -> None:
    assert len(_messages()) >= 40
    for message in _messages():
        assert max(len(piece.split()) for piece in _pieces(message)) >= 2, message


def test_a_message_that_nobody_says_is_found_out() -> None:
    assert not _is_said("no bundle at …; mend one with: …")
