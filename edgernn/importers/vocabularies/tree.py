"""Words with their ids in a tree of plain values, as JSON and pickles hold them.

Taken are: a list of words; a dict of word → id or id → word; an object or dict that has one of
them under a name that public programs use (``Vocabulary.word2idx`` of yunjey, ``dictionary`` of
awd-lstm-lm's corpus, ``vocab`` of ruotianluo's infos, ``word_index`` of Keras' Tokenizer, whose
JSON stands in JSON, ``stoi`` and ``itos`` of torchtext, fastai and others); and the pair of a list
and a dict that char-rnn-tensorflow keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from edgernn.containers.content import Stub
from edgernn.errors import DataError
from edgernn.storage import strict_json

RANKED = "word_index"  # of Keras: by frequency, the rare words are beyond the rows
Pairs = tuple[tuple[str, int], ...]

# In the order of their reading: word → id first, since it is what an upstream encodes with.
_NAMES = (
    (
        "word2idx",
        "word_to_idx",
        "word2index",
        "token_to_idx",
        "char_to_idx",
        "stoi",
        "word_map",
        RANKED,
    ),
    ("itos", "idx2word", "idx_to_word", "ix_to_word", "index2word", "idx_to_token", "vocab"),
)
_INNER = ("dictionary", "vocab", "vocabulary", "corpus", "config")
_SETTINGS = "config"  # no vocabulary itself
_DEEPEST = 4
_HALVES = "surrogateescape"


def pairs_of(tree: Any, name: str) -> tuple[Pairs, str]:
    """Return the words of ``tree`` with their ids, and which part of it they are, in words.

    Args:
        tree: plain values, and stubs of objects.
        name: of its file, for errors.

    Raises:
        DataError: there is no vocabulary in it.
    """
    for what, value in _candidates(tree, "", 0):
        pairs = _pairs(value)
        if pairs:
            return pairs, what
    raise DataError(
        f"{name} has no vocabulary that is known: {_told(tree)}; expected a list of words, or a "
        "dict of words and ids; write it as JSON, {word: id}"
    )


def _candidates(tree: Any, what: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield the parts of ``tree`` in which words may stand, the likely ones first."""
    if isinstance(tree, str) and depth and tree.startswith("{"):
        tree = _parsed(tree)
    yield what, tree
    if isinstance(tree, Stub):
        yield what, tree.items
        yield what, dict(_hashable(tree.entries))
    if depth == _DEEPEST:
        return
    if isinstance(tree, tuple):  # (chars, vocab): the dict is what encodes
        for part in (*(p for p in tree if isinstance(p, dict)), *tree):
            yield what, part
    inside = _inside(tree)
    for names in _NAMES:
        for name in names:
            if name in inside:
                yield from _candidates(inside[name], name, depth + 1)
    for name in _INNER:
        if name in inside:
            found = _candidates(inside[name], name, depth + 1)
            yield from islice(found, name == _SETTINGS, None)


def _parsed(text: str) -> Any:
    try:
        return strict_json.parse(text)
    except ValueError:
        return None


def _inside(tree: Any) -> Mapping[Any, Any]:
    if isinstance(tree, Stub):
        return {**dict(_hashable(tree.entries)), **tree.attributes}
    return tree if isinstance(tree, dict) else {}


def _hashable(entries: list[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    return ((key, value) for key, value in entries if isinstance(key, (str, bytes, int)))


def _pairs(value: Any) -> Pairs:
    """Return words with ids; nothing where ``value`` is no such list or dict."""
    if isinstance(value, (list, tuple)):
        return tuple((_text(word), i) for i, word in enumerate(value)) if _texts(value) else ()
    if not isinstance(value, dict):
        return ()
    if _texts(value) and all(type(token_id) is int for token_id in value.values()):
        return tuple((_text(word), int(token_id)) for word, token_id in value.items())
    if _texts(value.values()) and _whole(value):
        return tuple((_text(word), int(token_id)) for token_id, word in value.items())
    return ()


def _texts(values: Any) -> bool:
    return bool(values) and all(isinstance(value, (str, bytes)) for value in values)


def _whole(values: Any) -> bool:
    """Whether all are whole numbers, or texts of digits, as JSON's keys are."""
    return bool(values) and all(
        type(value) is int
        or (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10)
        for value in values
    )


def _text(word: str | bytes) -> str:
    """Return a word as text: a single byte is the character of its number, more are UTF-8."""
    if isinstance(word, str):
        return word
    return word.decode("latin-1") if len(word) == 1 else word.decode(errors=_HALVES)


def _told(tree: Any) -> str:
    if isinstance(tree, Stub):
        return f"it is an object of {tree.name}"
    if isinstance(tree, dict):
        return f"it is a dict with the keys {', '.join(map(repr, list(tree)[:5])) or 'none'}"
    return f"it is {type(tree).__name__}"
