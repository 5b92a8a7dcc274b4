"""From a vocabulary of others to the tokenizer that gives their ids."""

from __future__ import annotations

from typing import Literal

import tokenizers

from edgernn.data.text.given_vocabulary import of_bytes, of_characters
from edgernn.data.text.spaced import LINE_END, spaced_pipeline
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError
from edgernn.importers.vocabularies.vocabulary import Vocabulary

Kind = Literal["words", "characters", "bytes", "captions"]
_CAPTION_NAMES = {"pad": "<pad>", "start": "<start>", "end": "<end>"}
_FIRST_PRIVATE = 0xE000  # code points that stand for nothing, for ids without a character
_MOST_PRIVATE = 0x1900


def tokenizer_of(vocabulary: Vocabulary, kind: Kind) -> Tokenizer:
    """Return the tokenizer whose ids are those of ``vocabulary``; the one that was given, where it
    was one.

    Args:
        vocabulary: of the network.
        kind: ``words`` between white space, with the vocabulary's ``eos`` at each line end;
            ``characters``; ``bytes`` (characters below 256); ``captions``, words in lower case.

    Raises:
        DataError: a token is none of that kind.
    """
    if vocabulary.tokenizer is not None:
        return vocabulary.tokenizer
    makers = {"words": _words, "captions": _captions, "characters": _characters, "bytes": _bytes}
    return Tokenizer.from_json(
        makers[kind](vocabulary).to_str(pretty=True), origin=f"the vocabulary of {vocabulary.how}"
    )


def _words(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    eos, words = vocabulary.specials.eos, _encodable(vocabulary)
    if eos is not None and words[eos] != LINE_END:
        if LINE_END in words:
            raise DataError(
                f"the vocabulary of {vocabulary.how} has a line end as a word, and {words[eos]} "
                "for it; expected one of them; remove one"
            )
        words[eos] = LINE_END
    return spaced_pipeline(_ids(words), unknown=_unknown(vocabulary, words))


def _captions(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    words = _encodable(vocabulary)
    for role, name in _CAPTION_NAMES.items():
        token_id = getattr(vocabulary.specials, role)
        if token_id is not None and name not in words:
            words[token_id] = name
    return spaced_pipeline(_ids(words), unknown=_unknown(vocabulary, words), captions=True)


def _characters(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    words = _encodable(vocabulary)
    for token_id in _nameless(vocabulary):
        words[token_id] = chr(_FIRST_PRIVATE + token_id % _MOST_PRIVATE)
    longer = next((word for word in words if len(word) != 1), None)
    if longer is not None:
        raise DataError(
            f"the vocabulary of {vocabulary.how} has {longer!r}, which is no single character; the "
            "model reads characters; give the list of them"
        )
    return of_characters(_ids(words))


def _bytes(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    nameless = set(_nameless(vocabulary))
    ids = {
        i: _byte(word, vocabulary) for i, word in enumerate(vocabulary.words) if i not in nameless
    }
    if all(byte < 0x80 for byte in ids.values()):  # then a byte is a character
        return _characters(vocabulary)
    return of_bytes({byte: token_id for token_id, byte in ids.items()})


def _byte(word: str, vocabulary: Vocabulary) -> int:
    if len(word) == 1 and (ord(word) < 0x100 or 0xDC80 <= ord(word) <= 0xDCFF):
        return ord(word) & 0xFF
    raise DataError(
        f"the vocabulary of {vocabulary.how} has {word!r}, which is no single byte; the model "
        "reads bytes; give the list of them"
    )


def _nameless(vocabulary: Vocabulary) -> list[int]:
    """Return the ids that no character of a text has: holes, and what stands for padding."""
    specials = vocabulary.specials
    named = (specials.pad, specials.start, specials.end, specials.unknown, specials.eos)
    return sorted(
        {*vocabulary.holes, *(i for i in named if i is not None and len(vocabulary.words[i]) != 1)}
    )


def _encodable(vocabulary: Vocabulary) -> list[str]:
    for token_id, word in enumerate(vocabulary.words):
        try:
            word.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"the vocabulary of {vocabulary.how} has {word!r} for the id {token_id}, which is "
                "no UTF-8 text; expected words; write it anew as UTF-8"
            ) from error
    return list(vocabulary.words)


def _unknown(vocabulary: Vocabulary, words: list[str]) -> str | None:
    unknown = vocabulary.specials.unknown
    return None if unknown is None else words[unknown]


def _ids(words: list[str]) -> dict[str, int]:
    return {word: token_id for token_id, word in enumerate(words)}
