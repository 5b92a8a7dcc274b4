"""Vocabulary files by their content: JSON, tokenizer.json, a word a line, a word and its id a line,
a corpus, a pickle.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgernn import storage
from edgernn.containers.content import Content
from edgernn.containers.pickle_file import read_pickle
from edgernn.containers.reading import read
from edgernn.containers.source import open_source
from edgernn.data.encodings import refuse, wide_encoding
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError
from edgernn.importers.vocabularies.corpus import corpus_files, read_corpus
from edgernn.importers.vocabularies.sentencepiece_model import (
    is_sentencepiece,
    read_sentencepiece,
)
from edgernn.importers.vocabularies.tree import RANKED, pairs_of
from edgernn.importers.vocabularies.vocabulary import WordIds
from edgernn.storage import strict_json

_HEAD = 1 << 16  # bytes by which a file is told
_MOST = 256 << 20
_FEWEST_LINES = 2
_PICKLE_HEAD = re.compile(rb"\(+(dp?\d*|lp?\d*|[VSIFL][^\n]*|i[\w.]+)\n|c[\w.]+\n\w+\n")
_PICKLE_TAIL = re.compile(rb"\n[a-z]*\.\n?\Z")  # opcodes alone, the last of them STOP
_BINARY = (b"\x80", b"PK\x03\x04", b"\x89HDF")  # a pickle of protocol 2 and up, zip, HDF5
_TAIL = 64  # bytes
_LISTED = (
    "{name} begins with a word a line, none twice, and is no list of as many words as the network "
    "has rows: it is read as a corpus, with <eos> after its first word; where it is a list, give "
    "the whole of it"
)
_GIVE = "give a word map in JSON, a word a line, or the corpus"


def read_vocabulary(path: Path, *, size: int | None) -> WordIds:
    """Read the words and ids of a file or corpus folder.

    Raises:
        DataError: it is missing, unreadable, damaged, or no vocabulary.
    """
    if path.is_dir():
        return read_corpus(corpus_files(path), size=size)
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is no plain file; {_GIVE}")
    head = _head(path)
    if head.lstrip()[:1] in (b"{", b"["):
        return _json(path, head, size)
    if is_sentencepiece(head):
        return read_sentencepiece(path, _whole(path))
    if wide_encoding(head) is not None:
        raise refuse(head, None, name=str(path), place="")
    if b"\0" in head or head.startswith(_BINARY):
        return _content(path, read(path))
    if _is_text_pickle(path, head):
        return _content(path, read_pickle(open_source(path)))
    return _of_text(path, head, size)


def _of_text(path: Path, head: bytes, size: int | None) -> WordIds:
    """Read a table, a list or a corpus: whichever the lines are."""
    lines = _lines(head)
    if len(lines) >= _FEWEST_LINES and _is_table(lines):
        return _table(path)
    if len(lines) >= _FEWEST_LINES and _is_list(lines):
        listed = _list(path, size)
        if listed is not None:
            return listed
        found = read_corpus([path], size=size)
        return replace(found, told=(*found.told, _LISTED.format(name=path.name)))
    return read_corpus([path], size=size)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise DataError(
            f"cannot read the vocabulary {path}: {storage.reason(error)}; {_GIVE}"
        ) from error


def _json(path: Path, head: bytes, size: int | None) -> WordIds:
    text = _whole(path)
    try:
        tree = strict_json.parse(text)
    except ValueError as error:
        if path.suffix.lower() != ".json":  # a text that begins with a bracket
            return _of_text(path, head, size)
        raise DataError(f"{path} is no vocabulary: as JSON, {error}; {_GIVE}") from error
    if isinstance(tree, dict) and isinstance(tree.get("model"), dict):
        return _tokenizer(path, text.decode())
    return _of_tree(path, tree)


def _tokenizer(path: Path, text: str) -> WordIds:
    tokenizer = Tokenizer.from_json(text, origin=str(path))
    pairs = []
    for token_id in range(tokenizer.vocabulary_size):
        try:
            pairs.append((tokenizer.token(token_id), token_id))
        except DataError:  # a hole in the numbering
            continue
    return WordIds(pairs=tuple(pairs), how=path.name, tokenizer=tokenizer)


def _content(path: Path, content: Content) -> WordIds:
    return replace(_of_tree(path, content.tree), told=content.told)


def _of_tree(path: Path, tree: Any) -> WordIds:
    pairs, what = pairs_of(tree, str(path))
    how = f"{path.name} ({what})" if what else path.name
    return WordIds(pairs=pairs, how=how, ranked=what == RANKED)


def _is_text_pickle(path: Path, head: bytes) -> bool:
    """Whether it is a pickle of protocol 0, which is lines of text."""
    if not _PICKLE_HEAD.match(head):
        return False
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, _TAIL), 2)
        return _PICKLE_TAIL.search(file.read()) is not None


def _lines(head: bytes) -> list[list[str]]:
    """Return the words of the whole lines of a file's head."""
    text = head.decode(errors="replace")
    lines = text.splitlines() if len(head) < _HEAD else text.splitlines()[:-1]
    return [line.split() for line in lines]


def _is_table(lines: list[list[str]]) -> bool:
    """Whether each line is a word and a whole number, as icefall's tokens.txt and words.txt."""
    return all(len(line) == 2 and line[1].isascii() and line[1].isdigit() for line in lines if line)


def _is_list(lines: list[list[str]]) -> bool:
    """Whether each line is one word, none twice; the first may be empty, as in the vocabulary of
    Keras' TextVectorization.
    """
    single = all(len(line) == 1 or (not line and not at) for at, line in enumerate(lines))
    return single and len({*map(tuple, lines)}) == len(lines)


def _table(path: Path) -> WordIds:
    lines = [line.split() for line in _text(path).splitlines() if line.strip()]
    if not _is_table(lines):
        raise DataError(f"{path}: a line is not a word and its id; expected both on each; {_GIVE}")
    pairs = tuple((word, int(token_id[:10])) for word, token_id in lines)
    if len({token_id for _, token_id in pairs}) < len(pairs):
        raise DataError(
            f"{path} has a number beside each word, but some twice, so they are counts and no ids; "
            "expected a word and its id a line; give the words alone in the order of their ids"
        )
    return WordIds(pairs=pairs, how=f"{path.name} (a word and its id a line)")


def _list(path: Path, size: int | None) -> WordIds | None:
    """Read a word a line; None where the file is a corpus rather."""
    if path.stat().st_size > _MOST:
        return None
    lines = [line.split() for line in _text(path).splitlines()]
    if not _is_list(lines) or size == len(lines) + 1:  # a corpus of one word a line has <eos>
        return None
    pairs = tuple(("".join(line), token_id) for token_id, line in enumerate(lines))
    return WordIds(pairs=pairs, how=f"{path.name} (a word a line)")


def _text(path: Path) -> str:
    try:
        return _whole(path).decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text; {_GIVE}, as UTF-8") from error


def _whole(path: Path) -> bytes:
    try:
        return storage.read_bytes(path, most=_MOST)
    except OSError as error:
        raise DataError(
            f"cannot read the vocabulary {path}: {storage.reason(error)}; {_GIVE}"
        ) from error
