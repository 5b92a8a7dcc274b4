"""Words with tags from a file of columns, as the shared tasks of CoNLL have them.

A line is a word: its first column is the word, its last one the tag, between them may be more, all
apart by tabs or, where a line has none, by white space. A blank line ends a sentence. Lines
``-DOCSTART- …`` and ``# name = value`` are left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgernn.data.clips.tagged import TaggedWords
from edgernn.data.plain_text import PlainText
from edgernn.errors import DataError

_COMMENT = re.compile(r"#\s?\w+\s*=|#\s*$")
_DOCUMENT = "-DOCSTART-"
_MOST_WORDS = 10_000


def read_columns(path: Path) -> TaggedWords:
    """Read a file of columns.

    Raises:
        DataError: it cannot be read, or a line of it has too few columns, or another number than
            the first; names the line.
    """
    sentences: list[tuple[str, ...]] = []
    labels: list[tuple[str, ...]] = []
    words: list[str] = []
    tags: list[str] = []
    columns = 0
    lines = PlainText(path, what="words and tags").text.split("\n")
    for number, line in enumerate([*lines, ""], start=1):
        if not line.strip():
            if words:
                sentences.append(tuple(words))
                labels.append(tuple(tags))
                words, tags = [], []
            continue
        cells = [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
        if cells[0] == _DOCUMENT or _COMMENT.match(line):
            continue
        columns = columns or len(cells)
        _check(path, number, cells, columns, len(words))
        words.append(cells[0])
        tags.append(cells[-1])
    if any(len(row) > 1 for row in sentences) and all(map(_counts, sentences)):
        raise DataError(
            f"{path} has the numbers of the words in its first column, as CoNLL-U, expected the "
            "words; keep the columns of the words and of the tags: cut -f2,4 FILE > NEW"
        )
    if not sentences:
        raise DataError(f"{path} has no words; expected a line a word: the word, a tab, its tag")
    return TaggedWords(str(path), tuple(sentences), tuple(labels))


def _counts(words: tuple[str, ...]) -> bool:
    return list(words) == [str(place + 1) for place in range(len(words))]


def _check(path: Path, number: int, cells: list[str], columns: int, words: int) -> None:
    """Raise DataError where a line is no word with its tag."""
    told = f"{path}, line {number}"
    if len(cells) < 2:
        raise DataError(
            f"{told}: {' '.join(cells)[:40]!r} is one column, expected a word and its tag, apart "
            "by a tab or a space"
        )
    if len(cells) != columns:
        raise DataError(
            f"{told}: it has {len(cells)} columns, the first word {columns}; give every word as "
            "many"
        )
    if not cells[0] or not cells[-1] or cells[0].split() != [cells[0]]:
        raise DataError(
            f"{told}: the word is {cells[0]!r} and the tag {cells[-1]!r}; expected neither empty, "
            "and no space in a word"
        )
    if words >= _MOST_WORDS:
        raise DataError(
            f"{told}: the sentence has more than {_MOST_WORDS:,} words; put a blank line between "
            "sentences"
        )
