"""Words as they stand between white space: how the networks of others cut their text.

Upstream programs cut a line by Python's ``str.split()``, and many put a token of their own after
each line. Here that token is spelled as the line end that it stands for, so that the ids of a text
are theirs and the text of ids has its lines. Captions are the same without lines, in lower case.
The vocabulary is given, never learned here, and its ids may be in any order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

SPACED = "spaced"
LINE_END = "\n"
DEFAULT_UNKNOWN = "<unk>"  # what the library's file says where no token stands for unknown words
# Python's white space: that of Unicode and the four separators of ASCII. Only line ends are kept.
_WORD = "[^\\s\x1c-\x1f]+"
_WORD_OR_LINE_END = f"{LINE_END}|{_WORD}"
_WORDS = {True: re.compile(_WORD_OR_LINE_END), False: re.compile(_WORD)}


def spaced_pipeline(
    vocabulary: Mapping[str, int], *, unknown: str | None, captions: bool = False
) -> tokenizers.Tokenizer:
    """Make the tokenizer of words between white space.

    Args:
        vocabulary: word → id. Where it has ``LINE_END``, each line end of a text is that token;
            else line ends are white space.
        unknown: the token for words that it lacks; None refuses them.
        captions: normalise text by NFKC and to lower case, as of the token kind ``caption``.
    """
    model = models.WordLevel(vocab=dict(vocabulary), unk_token=unknown or DEFAULT_UNKNOWN)
    return _pipeline(model, lines=LINE_END in vocabulary, captions=captions)


def is_spaced(structure: Mapping[str, Any], *, captions: bool) -> bool:
    """Whether ``structure``, a tokenizer's JSON without its vocabulary, is one of
    ``spaced_pipeline``.
    """
    unknown = structure["model"].get("unk_token")
    if structure["model"].get("type") != "WordLevel" or not isinstance(unknown, str):
        return False
    for lines in (True, False):
        own = json.loads(
            _pipeline(models.WordLevel(unk_token=unknown), lines=lines, captions=captions).to_str()
        )
        own["model"].pop("vocab", None)
        if structure == own:
            return True
    return False


def encode_spaced(
    text: str, vocabulary: Mapping[str, int]
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the ids of the words of ``text``, int64 ``[N]``, -1 for those that ``vocabulary``
    lacks, and each of these words once, in the order of the text.
    """
    words = _WORDS[LINE_END in vocabulary].findall(text)
    ids = np.fromiter((vocabulary.get(word, -1) for word in words), np.int64, len(words))  # [N]
    return ids, list(dict.fromkeys(words[place] for place in np.flatnonzero(ids < 0)))


def _pipeline(model: models.Model, *, lines: bool, captions: bool) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(model)
    if captions:
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(_WORD_OR_LINE_END if lines else _WORD), behavior="removed", invert=True
    )
    # One space between tokens, none around a line end; no word begins with the prefix, a space.
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.WordPiece(prefix=" ", cleanup=False),
            decoders.Fuse(),
            decoders.Replace(Regex(f" ?{LINE_END} ?"), LINE_END),
        ]
    )
    return tokenizer
