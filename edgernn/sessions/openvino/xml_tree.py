"""XML as a tree of elements with attributes, read safely: no document types, so no entities; no
more bytes, elements or levels than a network has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from edgernn.contract import first_line
from edgernn.errors import ContractError

MOST_BYTES = 64 << 20
_MOST_ELEMENTS, _MOST_LEVELS = 5_000_000, 64


@dataclass
class Element:
    """One element: its tag, attributes, children, and the text directly in it."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def find(self, tag: str) -> Element | None:
        """Return the first child with that tag."""
        return next((child for child in self.children if child.tag == tag), None)

    def all(self, tag: str) -> Iterator[Element]:
        """Yield the children with that tag."""
        return (child for child in self.children if child.tag == tag)

    def at(self, *tags: str) -> Element | None:
        """Return what is found by following ``tags`` from child to child."""
        found: Element | None = self
        for tag in tags:
            found = None if found is None else found.find(tag)
        return found


def read_tree(content: bytes, *, source: str) -> Element:
    """Return the root element of ``content``, which is UTF-8; ``source`` names it in errors.

    Raises:
        ContractError: it is no XML, has a document type, or is larger than any network's.
    """
    if len(content) > MOST_BYTES:
        raise ContractError(
            f"{source} has {len(content)} bytes, expected at most {MOST_BYTES}; export it again"
        )
    tree = _Tree(source)
    try:
        tree.parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ContractError(
            f"{source} is damaged, it is no whole XML: {first_line(error)}; export it again"
        ) from error
    return tree.root.children[0]


class _Tree:
    """What expat calls while it reads."""

    def __init__(self, source: str) -> None:
        self.root = Element("", {})
        self._source, self._open, self._count = source, [self.root], 0
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _refuse(self, *_: object) -> None:
        raise ContractError(
            f"{self._source} has a document type, which no network has; export it again"
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MOST_ELEMENTS or len(self._open) > _MOST_LEVELS:
            raise ContractError(
                f"{self._source} has more elements or levels than a network ({_MOST_ELEMENTS}, "
                f"{_MOST_LEVELS}); export it again"
            )
        made = Element(tag, attributes)
        self._open[-1].children.append(made)
        self._open.append(made)

    def _end(self, tag: str) -> None:
        self._open.pop()

    def _text(self, text: str) -> None:
        if text := text.strip():
            self._open[-1].text += text
