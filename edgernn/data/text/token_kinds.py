"""The kinds of tokens that edgernn builds, each one a pipeline of the Hugging Face tokenizers
library.

A kind is a row of ``KINDS``: its pipeline (everything of a ``tokenizer.json`` but the vocabulary),
how its vocabulary is learned, and which vocabularies belong to it. Since no two pipelines are
alike, the kind of a saved tokenizer is read off its structure and needs no note beside the file.
Every pipeline but that of captions is lossless: the texts of the tokens make the text. A caption
keeps its words alone, in lower case and one space apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from edgernn.data.text.code_points import code_points
from edgernn.data.text.pieces import cut_pieces
from edgernn.data.text.spaced import SPACED, is_spaced
from edgernn.data.text.word_patterns import CAPTION_PATTERN, RUN_PATTERN, WORD_PATTERN, as_it_was
from edgernn.errors import DataError, UsageError
from edgernn.wording import expected_one_of

CUSTOM = "custom"
CAPTION = "caption"
_UNITS = {"char": "character", "byte": "byte", "word": "word", SPACED: "word", CAPTION: "word"}
UNKNOWN = "<unk>"
# Around and after the words of a caption. They and <unk> have the ids 0 to 3, in this order.
PAD = "<pad>"
START = "<start>"
END = "<end>"
_CAPTION_TOKENS = (PAD, START, END, UNKNOWN)
_CODE_POINTS = 0x110000


@dataclass(frozen=True)
class Limits:
    """What bounds a learned vocabulary: the fewest occurrences of a word or merge, and the most
    ids.
    """

    minimum_count: int
    vocabulary_size: int


@dataclass(frozen=True)
class TokenKind:
    """One kind of tokens.

    Attributes:
        pipeline: makes the tokenizer with an empty vocabulary.
        learn: makes the model from chunks of text and the limits.
        owns: whether a vocabulary (token → id) and merges are of this kind.
        default_size: the most ids when the caller names no limit; 0 where the kind alone decides.
        smallest_size: the fewest ids that the limit may allow.
    """

    pipeline: Callable[[], tokenizers.Tokenizer]
    learn: Callable[[Iterable[str], Limits], models.Model]
    owns: Callable[[dict[str, int], list[Any]], bool]
    default_size: int = 0
    smallest_size: int = 0


def unit_of(kind: str) -> str:
    """Return what one token of a kind is called: losses are told in nats of it."""
    return _UNITS.get(kind, "token")


def build(
    chunks: Iterable[str], kind: str, *, minimum_count: int, vocabulary_size: int | None
) -> tokenizers.Tokenizer:
    """Make a tokenizer of a kind with the vocabulary of a text; arguments and errors as
    ``Tokenizer.build``.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no token kind {kind!r}; {expected_one_of(kind, KINDS)}")
    row = KINDS[kind]
    size = row.default_size if vocabulary_size is None else vocabulary_size
    if size < row.smallest_size:
        raise UsageError(
            f"a {kind} vocabulary of {size} ids is too small; give at least {row.smallest_size}"
        )
    if minimum_count < 1:
        raise UsageError(f"a minimum count of {minimum_count} makes no sense; give 1 or more")
    tokenizer = row.pipeline()
    tokenizer.model = row.learn(chunks, Limits(minimum_count, size))
    return tokenizer


def kind_of(tokenizer: tokenizers.Tokenizer) -> str:
    """Return the kind whose pipeline and vocabulary a tokenizer has: one of ``KINDS``; ``spaced``,
    or ``caption`` with ids of its own, of a network that others trained; or ``"custom"`` when it
    was made elsewhere.
    """
    structure, vocabulary, merges = anatomy(tokenizer)
    for name, kind in KINDS.items():
        own = anatomy(kind.pipeline())[0]
        if structure in (own, as_it_was(own)) and kind.owns(vocabulary, merges):
            return name
    for name in (SPACED, CAPTION):
        if is_spaced(structure, captions=name == CAPTION):
            return name
    return CUSTOM


def byte_characters() -> list[str]:
    """Return the character that stands for each of the 256 bytes in a byte-level vocabulary.

    This is GPT-2's table: a printable Latin-1 byte is itself, the n-th other byte is the character
    256 + n.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte if byte in printable else 256 + others.index(byte)) for byte in range(256)]


def anatomy(tokenizer: tokenizers.Tokenizer) -> tuple[dict[str, Any], dict[str, int], list[Any]]:
    """Return the parts of a tokenizer: everything but what was learned, the vocabulary, the
    merges.
    """
    structure = json.loads(tokenizer.to_str())
    model = structure["model"]
    return structure, model.pop("vocab", {}), model.pop("merges", [])


def _char_pipeline() -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _byte_pipeline() -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _byte_level()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _word_pipeline() -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = _split(WORD_PATTERN)
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _bpe_pipeline() -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([_split(RUN_PATTERN), _byte_level()])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _caption_pipeline() -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(CAPTION_PATTERN), behavior="removed", invert=True
    )
    # Puts one space between tokens. Without a decoder some hosts put none; and no word starts with
    # the prefix.
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    return tokenizer


def _byte_level() -> pre_tokenizers.ByteLevel:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def _split(pattern: str) -> pre_tokenizers.Split:
    return pre_tokenizers.Split(Regex(pattern), behavior="isolated")


def _learn_char(chunks: Iterable[str], limits: Limits) -> models.Model:
    seen = np.zeros(_CODE_POINTS, dtype=np.bool_)
    for chunk in chunks:
        seen[code_points(chunk)] = True
    characters = [chr(code) for code in np.flatnonzero(seen)]
    if not characters:
        raise DataError("the text is empty, so it has no characters; give some text")
    return models.BPE(
        vocab={character: index for index, character in enumerate(characters)}, merges=[]
    )


def _learn_byte(chunks: Iterable[str], limits: Limits) -> models.Model:
    return models.BPE(
        vocab={character: byte for byte, character in enumerate(byte_characters())}, merges=[]
    )


def _learn_word(chunks: Iterable[str], limits: Limits) -> models.Model:
    return _learn_words(chunks, limits, _word_pipeline(), (UNKNOWN,))


def _learn_caption(chunks: Iterable[str], limits: Limits) -> models.Model:
    return _learn_words(chunks, limits, _caption_pipeline(), _CAPTION_TOKENS)


def _learn_words(
    chunks: Iterable[str],
    limits: Limits,
    tokenizer: tokenizers.Tokenizer,
    first_tokens: Sequence[str],
) -> models.Model:
    """Learn the words of a text, the frequent ones first, after ``first_tokens``."""
    trainer = trainers.WordLevelTrainer(
        vocab_size=limits.vocabulary_size,
        min_frequency=limits.minimum_count,
        special_tokens=list(first_tokens),
        show_progress=False,
    )
    tokenizer.train_from_iterator(cut_pieces(chunks), trainer)
    if tokenizer.get_vocab_size() <= len(first_tokens):
        raise DataError(
            f"no word of the text occurs {limits.minimum_count} times; give more text, or a "
            "lower --minimum-count"
        )
    # Only the model is taken: training also makes <unk> an added token, which would match the text
    # "<unk>".
    model: models.Model = tokenizer.model
    return model


def _learn_bpe(chunks: Iterable[str], limits: Limits) -> models.Model:
    trainer = trainers.BpeTrainer(
        vocab_size=limits.vocabulary_size,
        min_frequency=limits.minimum_count,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer = _bpe_pipeline()
    tokenizer.train_from_iterator(cut_pieces(chunks), trainer)
    model: models.Model = tokenizer.model
    return model


def _owns_char(vocabulary: dict[str, int], merges: list[Any]) -> bool:
    single = all(len(token) == 1 for token in vocabulary)
    return (
        bool(vocabulary)
        and single
        and not merges
        and sorted(vocabulary.values()) == list(range(len(vocabulary)))
    )


def _owns_byte(vocabulary: dict[str, int], merges: list[Any]) -> bool:
    return not merges and vocabulary == {
        character: byte for byte, character in enumerate(byte_characters())
    }


def _owns_word(vocabulary: dict[str, int], merges: list[Any]) -> bool:
    return UNKNOWN in vocabulary


def _owns_bpe(vocabulary: dict[str, int], merges: list[Any]) -> bool:
    return vocabulary.keys() >= set(byte_characters())


def _owns_caption(vocabulary: dict[str, int], merges: list[Any]) -> bool:
    return [vocabulary.get(token) for token in _CAPTION_TOKENS] == list(range(len(_CAPTION_TOKENS)))


KINDS: dict[str, TokenKind] = {
    "char": TokenKind(_char_pipeline, _learn_char, _owns_char),
    "byte": TokenKind(_byte_pipeline, _learn_byte, _owns_byte),
    "word": TokenKind(
        _word_pipeline, _learn_word, _owns_word, default_size=20_000, smallest_size=2
    ),
    "bpe": TokenKind(_bpe_pipeline, _learn_bpe, _owns_bpe, default_size=4_096, smallest_size=256),
    CAPTION: TokenKind(
        _caption_pipeline, _learn_caption, _owns_caption, default_size=20_000, smallest_size=5
    ),
}
