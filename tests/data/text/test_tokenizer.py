"""Text to ids and back: lossless, the same in parts as whole, the same by table as by the
library.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, processors

from edgernn import storage
from edgernn.data.text.pieces import cut_pieces
from edgernn.data.text.tokenizer import TOKEN_KINDS, Tokenizer
from edgernn.errors import DataError, StorageError, UsageError

TEXT = (
    "The cat sat.\nThe cat -- na\u00efve \u2192 sat!\n\n\tIt's  3 \U0001f600 o'clock,\r\n e\u0301 "
    "\u65e5\u672c\n"
)
TOKENIZERS = {
    kind: Tokenizer.build([TEXT], kind, minimum_count=1, vocabulary_size=300)
    for kind in TOKEN_KINDS
}
CUSTOM = '{"model": {"type": "WordLevel", "vocab": {"cat": 0}, "unk_token": "<unk>"}}'

CAPTION_WORDS = (
    "the",
    "cat",
    "sat",
    "na\u00efve",
    "it's",
    "3",
    "o'clock",
    "\u00e9",
    "\u65e5",
    "\u672c",
)

# Texts whose symbols are all known: any text for byte and bpe; known characters for char; lines of
# TEXT for word; words of it, as captions spell them, for caption.
KNOWN = {
    "char": st.text(alphabet=sorted(set(TEXT)), max_size=60),
    "byte": st.text(max_size=60),
    "word": st.lists(st.sampled_from(TEXT.splitlines(keepends=True)), max_size=8).map("".join),
    "bpe": st.text(max_size=60) | st.text(alphabet="The cat.\n\u00e9", max_size=60),
    "caption": st.lists(st.sampled_from(CAPTION_WORDS), max_size=8).map(" ".join),
}
each_kind = pytest.mark.parametrize("kind", TOKEN_KINDS)


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(edges)]


@each_kind
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_decoding_gives_the_text_back(kind: str, data: st.DataObject) -> None:
    text = data.draw(KNOWN[kind])
    ids = TOKENIZERS[kind].encode(text)
    assert ids.dtype == np.int64
    assert ids.ndim == 1
    assert TOKENIZERS[kind].decode(ids) == text


@each_kind
@settings(max_examples=80, deadline=None)
@given(data=st.data(), places=st.lists(st.integers(0, 500), max_size=6))
def test_parts_give_the_ids_of_the_whole(kind: str, data: st.DataObject, places: list[int]) -> None:
    text = data.draw(KNOWN[kind])
    parts = list(TOKENIZERS[kind].encode_stream(cut(text, places)))
    assert np.concatenate([[], *parts]).tolist() == TOKENIZERS[kind].encode(text).tolist()
    assert all(part.dtype == TOKENIZERS[kind].id_dtype for part in parts)


@pytest.mark.parametrize("kind", ["word", "bpe", "caption"])
@settings(max_examples=80, deadline=None)
@given(text=st.text(alphabet="The cat.\n\t\u00e9_\u0085\u00a0\u0301", max_size=80))
def test_short_pieces_give_the_ids_of_the_whole(kind: str, text: str) -> None:
    library = tokenizers.Tokenizer.from_str(TOKENIZERS[kind].to_json())
    pieces = cut_pieces([text], length=4, longest=100)
    assert [index for piece in pieces for index in library.encode(piece).ids] == library.encode(
        text
    ).ids


@each_kind
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_the_library_gives_the_same_ids(kind: str, data: st.DataObject) -> None:
    text = data.draw(KNOWN[kind])
    library = tokenizers.Tokenizer.from_str(TOKENIZERS[kind].to_json())
    assert TOKENIZERS[kind].encode(text).tolist() == library.encode(text).ids


@settings(max_examples=80, deadline=None)
@given(content=st.binary(max_size=40))
def test_invalid_bytes_decode_to_replacement_characters(content: bytes) -> None:
    assert TOKENIZERS["byte"].decode(list(content)) == content.decode(errors="replace")


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_a_corpus_of_many_pieces_keeps_its_ids(kind: str) -> None:
    text = " cat sat" * 135_000 + "\n" + TEXT * 1_000
    parts = list(TOKENIZERS[kind].encode_stream(cut(text, [70_001, 500_003])))
    assert len(parts) > 2
    ids = np.concatenate(parts)
    assert np.array_equal(
        ids, tokenizers.Tokenizer.from_str(TOKENIZERS[kind].to_json()).encode(text).ids
    )
    assert TOKENIZERS[kind].decode(ids) == text


def test_attributes() -> None:
    assert {kind: made.kind for kind, made in TOKENIZERS.items()} == {
        kind: kind for kind in TOKEN_KINDS
    }
    assert TOKENIZERS["byte"].vocabulary_size == 256
    assert TOKENIZERS["bpe"].vocabulary_size <= 300
    assert TOKENIZERS["char"].vocabulary_size == len(set(TEXT))
    assert [TOKENIZERS[kind].unknown_id for kind in TOKEN_KINDS] == [None, None, 0, None, 3]


@pytest.mark.parametrize(
    ("size", "name"), [(256, "uint8"), (257, "uint16"), (65_536, "uint16"), (65_537, "uint32")]
)
def test_ids_take_the_smallest_type_that_holds_them(size: int, name: str) -> None:
    library = tokenizers.Tokenizer(
        models.WordLevel({f"w{index}": index for index in range(size)}, unk_token="w0")
    )
    tokenizer = Tokenizer.from_json(library.to_str())
    assert tokenizer.id_dtype.name == name
    assert tokenizer.vocabulary_size == size
    assert next(iter(tokenizer.encode_stream([f"w{size - 1}"]))).tolist() == [size - 1]


def test_an_id_may_be_higher_than_the_count_of_tokens() -> None:
    tokenizer = Tokenizer.from_json(
        tokenizers.Tokenizer(models.WordLevel({"a": 0, "b": 7}, unk_token="a")).to_str()
    )
    assert tokenizer.vocabulary_size == 8
    assert tokenizer.decode(tokenizer.encode("b")) == "b"
    with pytest.raises(DataError, match="no token 5"):
        tokenizer.token(5)


def test_unknown_characters_are_named_or_left_out() -> None:
    tokenizer = Tokenizer.build(["abc"], "char")
    with pytest.raises(DataError) as caught:
        tokenizer.encode("a\u2192b\u00e9c\u00e9")
    assert str(caught.value) == (
        "the vocabulary has no '\u00e9', '\u2192'; it knows 3 characters. Remove them or use "
        "--on-unknown skip"
    )
    assert tokenizer.encode("a\u2192b\u00e9c", on_unknown="skip").tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="and 4 more"):
        tokenizer.encode("ABCDEFGHIJKLMN")


def test_unknown_words_become_a_token_or_are_left_out() -> None:
    tokenizer = Tokenizer.build(["a cat\n" * 2], "word")
    assert tokenizer.decode(tokenizer.encode("a dog\n")) == "a<unk>\n"
    assert tokenizer.decode(tokenizer.encode("a dog\n", on_unknown="skip")) == "a\n"
    assert tokenizer.decode(tokenizer.encode("<unk>")) == "<unk><unk><unk>"
    captions = Tokenizer.build(["A cat.\n" * 2], "caption")
    assert captions.encode("A dog, a cat!").tolist() == [4, 3, 4, 5]
    assert captions.encode("A dog, a cat!", on_unknown="skip").tolist() == [4, 4, 5]


def test_unknown_words_without_a_token_for_them() -> None:
    tokenizer = Tokenizer.from_json(CUSTOM)
    assert tokenizer.unknown_id is None
    with pytest.raises(
        DataError, match=r"cannot encode this text: WordLevel error: Missing \[UNK\] token"
    ):
        tokenizer.encode("dog")


@each_kind
def test_text_that_utf8_cannot_hold(kind: str) -> None:
    text = "cat\udce9"
    with pytest.raises(DataError, match=r"the text holds '\\udce9'"):
        TOKENIZERS[kind].encode(text)
    with pytest.raises(DataError, match=r"the text holds '\\udce9'"):
        Tokenizer.build([text], "char")
    skipped = TOKENIZERS[kind].encode(text, on_unknown="skip")
    assert skipped.tolist() == TOKENIZERS[kind].encode("cat", on_unknown="skip").tolist()


def test_neither_error_nor_skip() -> None:
    with pytest.raises(UsageError, match="on_unknown is 'drop'; expected one of error, skip"):
        TOKENIZERS["char"].encode("a", on_unknown="drop")  # type: ignore[arg-type]


@pytest.mark.parametrize("token_id", [-1, 256])
def test_ids_outside_the_vocabulary(token_id: int) -> None:
    with pytest.raises(DataError, match=f"no token {token_id}; the vocabulary has 256 ids"):
        TOKENIZERS["byte"].decode([65, token_id])
    with pytest.raises(DataError, match=f"no token {token_id}; the vocabulary has 256 ids"):
        TOKENIZERS["byte"].token(token_id)


@each_kind
def test_saving_and_loading_keep_everything(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZERS[kind].save(path)
    loaded = Tokenizer.load(path)
    assert loaded.to_json() == TOKENIZERS[kind].to_json() == path.read_text("utf-8")
    assert (loaded.kind, loaded.sha256) == (kind, storage.sha256(path))
    assert loaded.encode(TEXT).tolist() == TOKENIZERS[kind].encode(TEXT).tolist()


def test_a_full_disk_leaves_the_old_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZERS["char"].save(path)
    monkeypatch.setattr("os.fsync", _disk_full)
    with pytest.raises(StorageError, match="No space left on device"):
        TOKENIZERS["byte"].save(path)
    assert Tokenizer.load(path).kind == "char"
    assert list(tmp_path.iterdir()) == [path]


def _disk_full(descriptor: int) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a tokenizer: Expecting value"),
        (b"{}", "is not a tokenizer: Model missing"),
        (b"[1, 2]", "is not a tokenizer: it is a list"),
        (TOKENIZERS["char"].to_json().encode()[:200], "is not a tokenizer: "),
        (b"\xff\xfe", "it is not UTF-8 text"),
        (b'{"model": {"type": "BPE", "vocab": {}, "merges": []}}', "has an empty vocabulary"),
    ],
)
def test_damaged_files(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Tokenizer.load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the tokenizer .*absent.json: No such file"):
        Tokenizer.load(tmp_path / "absent.json")
    with pytest.raises(DataError, match="Is a directory"):
        Tokenizer.load(tmp_path)


def test_only_the_librarys_own_errors_become_data_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    class OutOfMemory:
        @staticmethod
        def from_str(text: str) -> None:
            raise MemoryError

    monkeypatch.setattr(tokenizers, "Tokenizer", OutOfMemory)
    with pytest.raises(MemoryError):
        Tokenizer.from_json("{}")


def gpt2_like() -> tokenizers.Tokenizer:
    library = tokenizers.Tokenizer.from_str(TOKENIZERS["bpe"].to_json())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.add_special_tokens(["<end>"])
    end = library.token_to_id("<end>")
    library.enable_truncation(4)
    library.enable_padding(length=99)
    library.post_processor = processors.TemplateProcessing(
        "<end> $A", special_tokens=[("<end>", end)]
    )
    return library


def wordpiece() -> tokenizers.Tokenizer:
    pieces = ["[UNK]", "the", "cat", "##s", "sat", "."]
    library = tokenizers.Tokenizer(
        models.WordPiece({piece: index for index, piece in enumerate(pieces)})
    )
    library.pre_tokenizer = pre_tokenizers.Whitespace()
    library.decoder = decoders.WordPiece()
    return library


@pytest.mark.parametrize("make", [gpt2_like, wordpiece])
def test_a_tokenizer_of_another_make(make: Callable[[], tokenizers.Tokenizer]) -> None:
    library = make()
    tokenizer = Tokenizer.from_json(library.to_str())
    library.no_truncation()
    library.no_padding()
    text = "the cats sat.\n\n  the cat "
    assert tokenizer.kind == "custom"
    assert tokenizer.encode(text).tolist() == library.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(tokenizer.encode(text)) == library.decode(
        tokenizer.encode(text).tolist()
    )
    assert tokenizer.vocabulary_size == library.get_vocab_size()


def test_unknown_pieces_of_another_make() -> None:
    tokenizer = Tokenizer.from_json(wordpiece().to_str())
    assert tokenizer.unknown_id == 0
    assert tokenizer.encode("the dog sat").tolist() == [1, 0, 4]
    assert tokenizer.encode("the dog sat", on_unknown="skip").tolist() == [1, 4]
    unigram = tokenizers.Tokenizer(models.Unigram([("<x>", 0.0), ("a", -1.0)], unk_id=0))
    assert Tokenizer.from_json(unigram.to_str()).unknown_id == 0


@pytest.mark.parametrize(
    ("sentences", "unseen", "words"),
    [
        (
            [
                f"\u4e00\u53ea{c}\u72d7\u5728\u8349\u5730\u4e0a\u8dd1\n"
                for c in "\u767d\u9ed1\u9ec4\u5927\u5c0f"
            ],
            "\u4e00\u53ea\u767d\u72d7\u8dd1",
            13,
        ),
        (["\u3053\u308c\u306f\u30da\u30f3\u3067\u3059\n"], "\u30da\u30f3\u306f\u3053\u308c", 7),
        (
            ["\u0e2b\u0e21\u0e32\u0e27\u0e34\u0e48\u0e07\n"],
            "\u0e27\u0e34\u0e48\u0e07\u0e2b\u0e21\u0e32",
            5,
        ),  # marks stay with their letter
        (["\u1780\u17b6\u179a\n"], "\u179a\u1780\u17b6", 2),
        (["\u0e81\u0eb2\u0e99\n"], "\u0e99\u0e81\u0eb2", 3),
        (["\u1019\u103c\u1014\n"], "\u1014\u1019\u103c", 2),
    ],
)
@pytest.mark.parametrize("kind", ["caption", "word"])
def test_scripts_without_spaces_are_cut_into_characters(
    sentences: list[str], unseen: str, words: int, kind: str
) -> None:
    tokenizer = Tokenizer.build(sentences * 2, kind)
    special = {"caption": 4, "word": 2}[kind]  # of words, <unk> and the newline
    assert tokenizer.vocabulary_size == words + special
    ids = tokenizer.encode(unseen)
    assert "<unk>" not in [tokenizer.token(int(id_)) for id_ in ids]
    assert tokenizer.decode(ids).replace(" ", "") == unseen
    assert tokenizer.kind == kind


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("word", r" ?[\p{L}\p{M}\p{N}_]+| ?[^\s\p{L}\p{M}\p{N}_]+|\n|[^\S\n]+"),
        ("caption", r"[\p{L}\p{M}\p{N}]+(?:[" "'\u2019\u2010-" r"][\p{L}\p{M}\p{N}]+)*"),
    ],
)
def test_a_tokenizer_with_the_pattern_of_before_is_still_of_its_kind(
    kind: str, pattern: str, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    Tokenizer.build(["a dog a dog \u4e00\u53ea \u4e00\u53ea\n"] * 2, kind).save(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["pre_tokenizer"]["pattern"] = {"Regex": pattern}
    path.write_text(json.dumps(content), encoding="utf-8")
    assert Tokenizer.load(path).kind == kind
    assert len(Tokenizer.load(path).encode("\u4e00\u53ea", on_unknown="skip")) == 0, (
        "a run of letters is one word"
    )


def test_an_id_far_beyond_the_others_is_refused() -> None:
    document = json.loads(Tokenizer.build(["abc"], "char").to_json())
    document["model"]["vocab"]["c"] = 2**31
    with pytest.raises(DataError, match="has 3 tokens, but ids up to 2147483648"):
        Tokenizer.from_json(json.dumps(document))


def test_what_is_no_text_and_what_are_no_ids() -> None:
    tokenizer = Tokenizer.build(["ab"], "char")
    with pytest.raises(DataError, match=r"^the text is NoneType, expected str$"):
        tokenizer.encode(None)  # type: ignore[arg-type]
    for ids in (None, ["a"], [2**70]):
        with pytest.raises(DataError, match=r"^the ids are \w+, expected whole numbers"):
            tokenizer.decode(ids)  # type: ignore[arg-type]
