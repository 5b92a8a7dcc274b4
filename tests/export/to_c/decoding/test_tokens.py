"""Text to tokens and back, as the library's tokenizer does it; bytes that are no text among
them.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from probes import Probe, files_of, probe_of

from edgernn.bundle import Bundle
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.stream_decoder import StreamDecoder
from edgernn.errors import DataError
from edgernn.writing.text import open_tokenizer

UNKNOWN, LONG = 6, 7
PIECE = 8


class Decoder(ctypes.Structure):
    """A ``net_text_decoder``."""

    _fields_ = (("held", ctypes.c_uint8 * 4), ("count", ctypes.c_int32))


@pytest.fixture(scope="module")
def probes(text_bundles: dict[str, Path]) -> dict[str, tuple[Probe, Tokenizer]]:
    made = {}
    for kind, place in text_bundles.items():
        with Bundle.open(place) as bundle:
            tokenizer = open_tokenizer(bundle)
            made[kind] = (probe_of(files_of(bundle, tokenizer)), tokenizer)
    return made


def encoded(probe: Probe, text: bytes, room: int | None = None) -> list[int] | int:
    """The tokens, or the code."""
    size = len(text) if room is None else room
    tokens, count = np.full(size + 1, -1, np.int64), ctypes.c_int32(-1)
    code = probe.library.net_text_encode(
        text, ctypes.c_void_p(tokens.ctypes.data), size, ctypes.byref(count)
    )
    if code:
        assert (tokens == -1).all()
        assert code != LONG or count.value > size
        return int(code)
    return [int(token) for token in tokens[: count.value]]


def pieces(probe: Probe, tokens: list[int]) -> tuple[list[bytes], bytes]:
    """What each token completes, and what the end does."""
    decoder, piece = Decoder(), ctypes.create_string_buffer(PIECE)
    found = []
    for token in tokens:
        size = probe.library.net_text_push(ctypes.byref(decoder), ctypes.c_int64(token), piece)
        found.append(piece.raw[:size])
    size = probe.library.net_text_flush(ctypes.byref(decoder), piece)
    return found, piece.raw[:size]


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_a_prompt(probes: dict[str, tuple[Probe, Tokenizer]], text: str) -> None:
    for probe, tokenizer in probes.values():
        try:
            wanted: list[int] | int = tokenizer.encode(text).tolist()
        except DataError:
            wanted = UNKNOWN
        assert encoded(probe, text.encode()) == wanted


def test_a_prompt_of_what_the_model_knows(probes: dict[str, tuple[Probe, Tokenizer]]) -> None:
    probe, tokenizer = probes["char"]
    text = "the quick brown\nfox"
    assert encoded(probe, text.encode()) == tokenizer.encode(text).tolist()
    assert encoded(probe, b"") == []
    assert encoded(probe, b"fox", room=2) == LONG
    assert encoded(probe, b"fo#x") == UNKNOWN


@pytest.mark.parametrize(
    "text",
    [b"\xc3", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\xff"],
)
def test_a_prompt_that_is_no_text(probes: dict[str, tuple[Probe, Tokenizer]], text: bytes) -> None:
    for probe, _ in probes.values():
        assert encoded(probe, text) == UNKNOWN


@settings(max_examples=300, deadline=None)
@given(
    tokens=st.lists(
        st.one_of(
            st.integers(0, 255),
            st.sampled_from([0x80, 0xBF, 0xC2, 0xE0, 0xE2, 0xED, 0xF0, 0xF4, 0x9F, 0xA0]),
        ),
        max_size=30,
    )
)
def test_bytes_come_when_their_character_is_whole(
    probes: dict[str, tuple[Probe, Tokenizer]], tokens: list[int]
) -> None:
    probe, tokenizer = probes["byte"]
    found, rest = pieces(probe, tokens)
    whole = bytes(tokens)
    assert b"".join([*found, rest]) == whole.decode(errors="replace").encode()
    if b"\xed" not in whole:  # behind which Python waits for a third byte
        decoder = StreamDecoder(tokenizer)
        wanted = [decoder.push(token).encode() for token in tokens]
        assert (found, rest) == (wanted, decoder.flush().encode())


def test_characters_of_every_length_come_at_once(text_bundles: dict[str, Path]) -> None:
    tokenizer = Tokenizer.build(["aé\u07ff\u0800€\uffff😀\U0010ffff\n"], "char")
    with Bundle.open(text_bundles["char"]) as bundle:
        contract = bundle.manifest.contract
        smaller = contract.model_copy(
            update={"sizes": {**contract.sizes, contract.step.text_ids.below: 9}}
        )
        from edgernn.export.to_c.decoding.companions import companions

        own = files_of(bundle, None)
        made = companions(smaller, bundle.manifest.decoding, tokenizer, {})
    probe = probe_of({**own, **made})
    text = "€😀éa\n\u07ff\u0800\uffff\U0010ffff"
    tokens = tokenizer.encode(text).tolist()
    assert encoded(probe, text.encode()) == tokens
    assert pieces(probe, tokens) == ([c.encode() for c in text], b"")


def test_a_token_outside_the_vocabulary(probes: dict[str, tuple[Probe, Tokenizer]]) -> None:
    piece = ctypes.create_string_buffer(PIECE)
    for probe, tokenizer in probes.values():
        for token in (-1, tokenizer.vocabulary_size, 2**40):
            found = probe.library.net_text_push(
                ctypes.byref(Decoder()), ctypes.c_int64(token), piece
            )
            assert found == -1
        assert probe.library.net_text_push(None, ctypes.c_int64(0), piece) == -1
        assert probe.library.net_text_flush(None, piece) == -1
