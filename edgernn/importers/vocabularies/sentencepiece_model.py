"""A sentencepiece model of the unigram kind as a tokenizer of the tokenizers library: same pieces,
scores and normalisation, read from its protobuf (``sentencepiece_model.proto``).

    ModelProto      1 pieces   2 trainer_spec   3 normalizer_spec
    SentencePiece   1 piece    2 score          3 type
    TrainerSpec     3 model_type (1 unigram)
    NormalizerSpec  2 precompiled_charsmap   3 add_dummy_prefix   4 remove_extra_whitespaces
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from edgernn.data.text.library import library_errors
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError
from edgernn.importers.vocabularies.vocabulary import WordIds

# The first piece: field 1, its length, field 1 again, the length of its text, a score.
_HEAD = re.compile(rb"\n[\x00-\x7f]\n[\x00-\x7f][^\n]{1,64}?\x15", re.DOTALL)
_UNIGRAM, _KINDS = 1, {2: "bpe", 3: "word", 4: "char"}
_UNKNOWN, _BYTE = 2, 6  # types of pieces
_SPACE = "\u2581"
_GIVE = "give a tokenizer.json of it, or tokens.txt (a piece and its id a line)"
_TIES = (
    "a text that two cuts fit equally well, as a run of dashes, and a literal <unk> in a text may "
    "get other pieces than sentencepiece gives them"
)
Fields = dict[int, list[int | bytes]]


def is_sentencepiece(head: bytes) -> bool:
    """Whether a file that begins so is a sentencepiece model."""
    return _HEAD.match(head) is not None


def read_sentencepiece(path: Path, content: bytes) -> WordIds:
    """Return the pieces of a model with their ids, and its tokenizer.

    Raises:
        DataError: it is damaged, or of another kind than unigram.
    """
    try:
        model = _fields(content)
        pieces = [_piece(_bytes(part)) for part in model.get(1, [])]
        trainer, normalizer = (_fields(_bytes(model.get(i, [b""])[0])) for i in (2, 3))
    except (ValueError, IndexError, struct.error) as error:
        raise DataError(f"{path} is a damaged sentencepiece model ({error}); {_GIVE}") from error
    kind = trainer.get(3, [_UNIGRAM])[0]
    if kind != _UNIGRAM:
        raise DataError(
            f"{path} is a sentencepiece model of the kind {_KINDS.get(_number(kind), kind)}, "
            f"expected unigram; {_GIVE}"
        )
    unknown = next((i for i, piece in enumerate(pieces) if piece[2] == _UNKNOWN), None)
    with library_errors(f"{path} is no sentencepiece model that can be taken", _GIVE):
        library = _tokenizer(pieces, unknown, normalizer)
    return WordIds(
        pairs=tuple((piece, i) for i, (piece, _, _) in enumerate(pieces)),
        how=f"{path.name} (a sentencepiece model)",
        told=(_TIES,),
        tokenizer=Tokenizer.from_json(library.to_str(pretty=True), origin=str(path)),
    )


def _tokenizer(
    pieces: list[tuple[str, float, int]], unknown: int | None, normalizer: Fields
) -> tokenizers.Tokenizer:
    in_bytes = any(kind == _BYTE for _, _, kind in pieces)
    scored = [(piece, score) for piece, score, _ in pieces]
    made = tokenizers.Tokenizer(models.Unigram(scored, unknown, in_bytes))
    steps: list[normalizers.Normalizer] = []
    if table := _bytes(normalizer.get(2, [b""])[0]):
        steps.append(normalizers.Precompiled(table))
    if normalizer.get(4, [1])[0]:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    made.normalizer = normalizers.Sequence(steps)
    prefix = "always" if normalizer.get(3, [1])[0] else "never"
    made.pre_tokenizer = pre_tokenizers.Metaspace(_SPACE, prepend_scheme=prefix, split=False)
    if in_bytes:
        strip = [decoders.Strip(" ", 1, 0)] if prefix == "always" else []
        spaces = decoders.Replace(_SPACE, " ")
        made.decoder = decoders.Sequence([decoders.ByteFallback(), spaces, decoders.Fuse(), *strip])
    else:
        made.decoder = decoders.Metaspace(_SPACE, prepend_scheme=prefix, split=False)
    return made


def _piece(content: bytes) -> tuple[str, float, int]:
    """Return a piece's text, score and type."""
    fields = _fields(content)
    text = _bytes(fields.get(1, [b""])[0]).decode()
    (score,) = struct.unpack("<f", _bytes(fields.get(2, [bytes(4)])[0]))
    return text, score, _number(fields.get(3, [1])[0])


def _fields(content: bytes) -> Fields:
    """Return the values of a protobuf message by the number of their field."""
    found: Fields = {}
    for number, value in _walk(content):
        found.setdefault(number, []).append(value)
    return found


def _walk(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(content, at)
            yield key >> 3, value
            continue
        length, at = _varint(content, at) if wire == 2 else ({1: 8, 5: 4}.get(wire, -1), at)
        if length < 0 or at + length > len(content):
            raise ValueError(f"a field at byte {at} is of no kind or too long")
        yield key >> 3, content[at : at + length]
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (content[at] & 0x7F) << shift
        at += 1
        if content[at - 1] < 0x80:
            return value, at
    raise ValueError(f"a number at byte {at} has no end")


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ValueError("a number stands where bytes should")


def _number(value: int | bytes) -> int:
    if isinstance(value, int):
        return value
    raise ValueError("bytes stand where a number should")
