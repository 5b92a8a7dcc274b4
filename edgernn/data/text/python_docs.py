"""The built-in corpus: the documentation that ships inside every Python, so a first training needs
no download.

Its text is the language reference of ``pydoc`` and then the docstrings of the standard library. The
source files are parsed, never imported, so the result depends on the Python version alone.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from edgernn.data.text.standard_library import module_files
from edgernn.errors import UnavailableError

_SHORTEST = 40  # characters; shorter docstrings ("Return self.") are too many and too alike
_TYPOGRAPHY = str.maketrans(
    {
        "\u2018": "'",  # left and right single quotes
        "\u2019": "'",
        "\u201c": '"',  # left and right double quotes
        "\u201d": '"',
        "\u2013": "-",  # en and em dashes
        "\u2014": "--",
        "\u2026": "...",  # ellipsis
        "\u00a0": " ",  # no-break space
    }
)
_FOREIGN = re.compile(r"[^\n -~]")


def read_chunks() -> Iterator[str]:
    """Yield the corpus piece by piece: printable ASCII and newlines, each piece once and ending
    with a blank line.

    Typographic quotes, dashes and dots become ASCII; a paragraph that holds any other character is
    left out, which keeps the vocabulary small.

    Raises:
        UnavailableError: this Python ships without its topics or its sources.
    """
    seen: set[str] = set()
    for text in _read_texts():
        piece = _clean(text)
        if len(piece) >= _SHORTEST and piece not in seen:
            seen.add(piece)
            yield piece + "\n\n"


def _read_texts() -> Iterator[str]:
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise UnavailableError(
            "this Python has no pydoc_data.topics; give --data FILE or another Python"
        ) from error
    modules = module_files()
    for name in sorted(topics):
        yield topics[name]
    for path in modules:
        yield from _read_docstrings(path)


def _read_docstrings(path: Path) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the parsed modules, which are not ours to mend
        tree = ast.parse(path.read_bytes())
    nodes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))
    return [docstring for node in nodes if (docstring := ast.get_docstring(node, clean=True))]


def _clean(text: str) -> str:
    lines = (line.rstrip() for line in text.translate(_TYPOGRAPHY).expandtabs().split("\n"))
    paragraphs = "\n".join(lines).split("\n\n")
    return "\n\n".join(
        paragraph for paragraph in paragraphs if not _FOREIGN.search(paragraph)
    ).strip("\n")
