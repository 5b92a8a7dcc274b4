"""What lies in or beside a checkpoint of a language model: its words, and held-out text in its
corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.containers.walk import tensors, walk
from edgernn.contract import TOKENS
from edgernn.data.text.source import open_source
from edgernn.data.text.tokenizer import OnUnknown, Tokenizer
from edgernn.importers.base import Opened
from edgernn.importers.vocabularies.corpus import corpus_files
from edgernn.importers.vocabularies.finding import Given

_MOST_TOKENS = 1 << 15


def words_of(opened: Opened, size: int) -> tuple[Given, str]:
    """Return where the words of ``size`` ids come from, and a sentence where that is a guess: what
    the user gave, else a companion without tensors, as fastai's ``itos``, else a table of as many
    words in the file itself; None where there are none.
    """
    if opened.wishes.vocabulary is not None:
        return opened.wishes.vocabulary, ""
    for each in opened.companions:
        if not tensors(each):
            return each.path, ""
    for place, value in _inside(opened):
        if _is_vocabulary(value, size):
            return value, f"its words are {place} of the file itself"
    return None, ""


def _inside(opened: Opened) -> Iterator[tuple[str, Any]]:
    """Yield every branch of the file and every attribute of its modules, by name."""
    for place, value in walk(opened.content):
        yield ".".join(place), value
    for module, stub in opened.modules.items():
        for name, value in stub.attributes.items():
            yield f"{module}.{name}".lstrip("."), value


def _is_vocabulary(value: Any, size: int) -> bool:
    """Whether ``value`` is a list of ``size`` words, or a dict of them and the ids from 0."""
    if not isinstance(value, (dict, list, tuple)) or len(value) != size:
        return False
    if not isinstance(value, dict):
        return all(isinstance(word, str) for word in value) and len(set(value)) == size
    words, ids = list(value), list(value.values())
    if words and isinstance(words[0], int):
        words, ids = ids, words
    return all(isinstance(word, str) for word in words) and set(map(_id, ids)) == set(range(size))


def _id(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def held_out(vocabulary: Path | None, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    """Return the held-out sample of a language model from the last part of its corpus, ``tokens
    [N]`` int64; empty where no corpus with such a part was given.
    """
    if vocabulary is None or not vocabulary.is_dir():
        return {}
    parts = [path for path in corpus_files(vocabulary)[1:] if path.stat().st_size]
    if not parts:
        return {}
    with open_source(str(parts[-1])) as source:
        text = next(source.chunks(), "")
    # with a token for unknown words the text keeps those that it has, as a literal <unk>
    unknown: OnUnknown = "skip" if tokenizer.unknown_id is None else "error"
    tokens = tokenizer.encode(text, on_unknown=unknown)[:_MOST_TOKENS].astype(np.int64)  # [N]
    return {TOKENS: tokens} if len(tokens) > 1 else {}
