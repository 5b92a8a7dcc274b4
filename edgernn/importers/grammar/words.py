"""What lies beside a checkpoint of a language model: its words in another file, and held-out text
in its corpus.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgernn.contract import TOKENS
from edgernn.data.text.source import open_source
from edgernn.data.text.tokenizer import OnUnknown, Tokenizer
from edgernn.importers.base import Opened
from edgernn.importers.containers.walk import tensors
from edgernn.importers.vocabularies.corpus import corpus_files

_MOST_TOKENS = 1 << 15


def words_beside(opened: Opened) -> Path | None:
    """Return the companion that holds no tensors, as fastai's ``itos``; None where none does."""
    return next((each.path for each in opened.companions if not tensors(each.tree)), None)


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
