"""What is pushed and flushed is the decoded text, complete at every moment."""

from __future__ import annotations

import time

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers

from edgernn.data.text.tokenizer import TOKEN_KINDS, Tokenizer
from edgernn.decoding.stream_decoder import StreamDecoder
from edgernn.errors import DataError

TEXT = "the cat sat on the mat. na\u00efve \u2192 \U0001f600 \u65e5\u672c the mat\n" * 2


def with_added_tokens() -> Tokenizer:
    library = tokenizers.Tokenizer.from_str(
        Tokenizer.build([TEXT], "bpe", vocabulary_size=280).to_json()
    )
    library.add_special_tokens(["<end>"])
    library.add_tokens(["of course \u2192"])
    return Tokenizer.from_json(library.to_str())


def llama_like() -> Tokenizer:
    tokens = [
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "\u2581",
        "a",
        "\u2581a",
        "\u2581aa",
        "\u00e9",
    ]
    library = tokenizers.Tokenizer(
        models.BPE(
            {token: index for index, token in enumerate(tokens)},
            [],
            byte_fallback=True,
            unk_token="<unk>",
        )
    )
    library.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    library.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return Tokenizer.from_json(library.to_str())


def wordpiece() -> Tokenizer:
    tokens = ["[UNK]", "the", "cat", "##s"]
    library = tokenizers.Tokenizer(
        models.WordPiece({token: index for index, token in enumerate(tokens)})
    )
    library.pre_tokenizer = pre_tokenizers.Whitespace()
    library.decoder = decoders.WordPiece()
    return Tokenizer.from_json(library.to_str())


BUILT = {kind: Tokenizer.build([TEXT], kind, vocabulary_size=280) for kind in TOKEN_KINDS}
MAKES = {**BUILT, "added": with_added_tokens(), "wordpiece": wordpiece()}


def stream(tokenizer: Tokenizer, ids: list[int]) -> tuple[list[str], str]:
    decoder = StreamDecoder(tokenizer)
    return [decoder.push(token_id) for token_id in ids], decoder.flush()


@pytest.mark.parametrize("make", MAKES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_ids_stream_to_the_decoded_text(make: str, data: st.DataObject) -> None:
    tokenizer = MAKES[make]
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocabulary_size - 1), max_size=40))
    pushed, rest = stream(tokenizer, ids)
    assert "".join(pushed) + rest == tokenizer.decode(ids)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=20))
def test_a_valid_text_streams_without_replacement_characters(text: str) -> None:
    pushed, rest = stream(BUILT["byte"], list(text.encode()))
    assert "".join(pushed) == text
    assert rest == ""


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=" a\u00e9\u2192\U0001f600", max_size=20))
def test_a_foreign_pipeline_streams_its_texts(text: str) -> None:
    tokenizer = llama_like()
    ids = tokenizer.encode(text).tolist()
    pushed, rest = stream(tokenizer, ids)
    assert "".join(pushed) + rest == tokenizer.decode(ids) == text


def test_a_character_is_held_until_its_last_byte() -> None:
    pushed, rest = stream(BUILT["byte"], list("a\u2192b".encode()))
    assert (pushed, rest) == (["a", "", "", "\u2192", "b"], "")
    pushed, rest = stream(BUILT["byte"], list("a\u2192".encode()[:-1]))
    assert (pushed, rest) == (["a", "", ""], "\ufffd")
    pushed, rest = stream(llama_like(), [1 + byte for byte in "\u2192".encode()])
    assert (pushed, rest) == (["", "", "\u2192"], "")


def test_bytes_that_never_make_a_character_are_not_held_for_ever() -> None:
    tokenizer = llama_like()
    pushed, rest = stream(tokenizer, [1 + 0xE9] * 10)
    assert len("".join(pushed)) == 8
    assert rest == "\ufffd" * 2


def test_an_id_outside_the_vocabulary() -> None:
    with pytest.raises(DataError, match="no token 256"):
        StreamDecoder(BUILT["byte"]).push(256)


@pytest.mark.parametrize("make", ["bpe", "wordpiece"])
def test_the_cost_of_a_push_does_not_grow(make: str) -> None:
    decoder = StreamDecoder(MAKES[make])

    def seconds(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            decoder.push(1)
        return time.perf_counter() - start

    first = min(seconds(200) for _ in range(5))
    seconds(10_000)
    assert min(seconds(200) for _ in range(5)) < 5 * first
