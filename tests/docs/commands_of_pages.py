"""The commands that the pages show: those of their blocks, and those within a sentence.

A block is one of commands where it says so (``console``, with ``$``; ``sh``), and one without a
language where its first line begins with a program that is known here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import site_pages

PROGRAMS = ("edgernn", "make", "pip", "npm", "python", "pytest", "torchrun", ".ci", "git", "node")
FAMILIES = (  # pages whose trainings take minutes: .ci/docs runs them with a few steps
    *(f"edgernn/families/{name}.md" for name in ("ANSWERER", "CLASSIFIER", "GLIMPSES", "PAINTER")),
    *(f"edgernn/families/{name}.md" for name in ("TAGGER", "TRANSLATOR")),
    "edgernn/reading/README.md",
)
NOT_RUN = {  # a page whose console blocks the gate does not run → why
    **dict.fromkeys(FAMILIES, "its training takes minutes; .ci/docs runs it with a few steps"),
    "edgernn/batch/README.md": "its table has 20,000 rows; tests/batch runs batch on small ones",
}
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?<=\n\n)((?: {4}.*\n)+)")
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_JOINS = ("|", "||", "&&", ";", ">", "<", ">>")


@dataclass(frozen=True)
class Shown:
    """A command of a page: its words, and whether the page shows it as a line to be typed."""

    page: str
    words: tuple[str, ...]
    line: bool

    @property
    def program(self) -> str:
        """What is run: the first word, of a gate or an environment its folder or its name; another
        program that lies in a folder is none that is read here, whatever it is called.
        """
        first = self.words[0]
        return ".ci" if first.startswith(".ci/") else first.removeprefix(".venv/bin/")

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a page that are of a language, which may be the empty word."""
    return [text for said, text in _BLOCK.findall(page.read_text("utf-8")) if said == language]


def shown(page: Path) -> Iterator[Shown]:
    """Yield every command of a page."""
    name = page.relative_to(site_pages.ROOT).as_posix()
    text = page.read_text("utf-8")
    prose = _BLOCK.sub("", text)
    typed = [line for said, block in _BLOCK.findall(text) for line in _typed(said, block)]
    typed += [line for block in _INDENTED.findall(prose) for line in _typed("", _dedent(block))]
    for line in typed:
        yield from (Shown(name, words, line=True) for words in split(line))
    for quoted in _INLINE.findall(_INDENTED.sub("", prose)):
        words = " ".join(quoted.split())
        if " " in words and words.split()[0] in PROGRAMS:
            yield from (Shown(name, each, line=False) for each in split(words))


def run(page: Path) -> list[tuple[str, list[str]]]:
    """Return each command of a page's console blocks and the lines of output that it shows."""
    found = []
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            found.append((command, lines))
    return found


def _dedent(block: str) -> str:
    return re.sub(r"^ {4}", "", block, flags=re.MULTILINE)


def _typed(language: str, block: str) -> list[str]:
    """Return the lines of a block that a reader types."""
    lines = block.replace("\\\n", " ").splitlines()
    if language == "console" or (language == "" and re.search(r"^\$ ", block, re.MULTILINE)):
        return [line[2:] for line in lines if line.startswith("$ ")]
    if language == "sh" or (language == "" and _is_known(lines)):
        return [line for line in lines if line.strip() and not line.startswith("#")]
    return []


def _is_known(lines: list[str]) -> bool:
    first = lines[0].split() if lines else []
    return len(first) > 1 and first[0].split("/")[0] in PROGRAMS


def split(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each program of a line, without comments, files of a redirection, and the
    brackets of what may be left out.
    """
    plain = re.sub(r"\[(--[^\]]*)\]", r"\1", line)
    lexer = shlex.shlex(plain, posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    lexer.whitespace_split = True
    words: list[str] = []
    to_a_file = False
    for word in [*lexer, ";"]:
        if word in _JOINS:
            words = [one for one in words if not re.match(r"[A-Z_]+=|[({]$", one)]
            if words and not to_a_file:
                yield tuple(words)
            words, to_a_file = [], word in ("<", ">", ">>")
        else:
            words.append(word)
