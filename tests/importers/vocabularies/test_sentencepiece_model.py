"""A sentencepiece model, written here as its protobuf says, cuts a text into the pieces of the
highest sum of scores.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import pytest

from edgernn.decoding.stream_decoder import StreamDecoder
from edgernn.errors import DataError
from edgernn.importers.vocabularies.finding import find_vocabulary
from edgernn.importers.vocabularies.tokenizing import tokenizer_of

SCORES = {
    "\u2581": -3.0,
    "\u2581the": -2.0,
    "\u2581th": -2.5,
    "e": -1.5,
    "cat": -2.25,
    "\u2581c": -2.125,
    "at": -1.0,
    "c": -4.0,
    "a": -4.5,
    "t": -4.75,
    "s": -3.5,
    "h": -5.0,
}
PIECES = ["<blk>", "<sos/eos>", "<unk>", *SCORES]  # as icefall numbers them


def number(value: int) -> bytes:
    made = b""
    while value >= 0x80:
        made += bytes([value & 0x7F | 0x80])
        value >>= 7
    return made + bytes([value])


def field(index: int, content: bytes) -> bytes:
    return number(index << 3 | 2) + number(len(content)) + content


def whole(index: int, value: int) -> bytes:
    return number(index << 3) + number(value)


def model(kind: int = 1, *, extra: tuple[str, ...] = (), prefix: int = 1) -> bytes:
    types = {"<blk>": 4, "<sos/eos>": 4, "<unk>": 2}
    made = b""
    for piece in [*PIECES, *extra]:
        score = struct.pack("<f", SCORES.get(piece, -9.0 if piece in extra else 0.0))
        typed = 6 if piece in extra else types.get(piece, 1)
        made += field(1, field(1, piece.encode()) + number(2 << 3 | 5) + score + whole(3, typed))
    return made + field(2, whole(3, kind)) + field(3, field(1, b"identity") + whole(3, prefix))


def best(text: str) -> list[int]:
    """Return the ids of the best cut: Viterbi over the pieces, unknown characters joined."""
    unknown = min(SCORES.values()) - 10

    @cache
    def rest(at: int) -> tuple[float, tuple[int, ...]]:
        if at == len(text):
            return 0.0, ()
        found = [(unknown, 2, at + 1)]
        found += [
            (score, PIECES.index(piece), at + len(piece))
            for piece, score in SCORES.items()
            if text.startswith(piece, at)
        ]
        return max((score + rest(end)[0], (i, *rest(end)[1])) for score, i, end in found)

    ids = rest(0)[1]
    return [i for at, i in enumerate(ids) if i != 2 or at == 0 or ids[at - 1] != 2]


@pytest.mark.parametrize(
    "text", ["the cat", "  the   cats ", "hats", "the\u00e9\u00e8cat", "cat the cat at the seat"]
)
def test_pieces_are_those_of_the_best_cut(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bpe.model"
    path.write_bytes(model())
    found = find_vocabulary(path, size=len(PIECES))
    assert list(found.words) == PIECES
    assert found.specials.unknown == 2
    tokenizer = tokenizer_of(found, "words")
    plain = " ".join(text.split())
    ids = tokenizer.encode(text).tolist()
    assert ids == best("\u2581" + plain.replace(" ", "\u2581"))
    if 2 not in ids:
        decoder = StreamDecoder(tokenizer)
        assert tokenizer.decode(ids) == plain
        assert "".join(map(decoder.push, ids)) + decoder.flush() == plain


def test_bytes_stand_for_unknown_characters(tmp_path: Path) -> None:
    path = tmp_path / "bpe.model"
    path.write_bytes(model(extra=tuple(f"<0x{byte:02X}>" for byte in range(256))))
    tokenizer = tokenizer_of(find_vocabulary(path), "words")
    ids = tokenizer.encode("the \u00e9cat").tolist()
    assert [tokenizer.token(i) for i in ids[:4]] == ["\u2581the", "\u2581", "<0xC3>", "<0xA9>"]
    assert tokenizer.decode(ids) == "the \u00e9cat"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (model(2), "of the kind bpe, expected unigram; give a tokenizer.json"),
        (model()[:-1], "is a damaged sentencepiece model"),
        (model()[:40], "is a damaged sentencepiece model"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "bpe.model"
    path.write_bytes(content)
    with pytest.raises(DataError, match=why):
        find_vocabulary(path)
