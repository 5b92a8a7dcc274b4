"""Vocabularies from files, from what checkpoints hold, and from string.printable."""

from __future__ import annotations

import json
import os
import pickle
import string
from pathlib import Path
from typing import Any

import pytest

from edgernn.data.pictures.caption_ids import caption_text, encode_caption
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError, UsageError
from edgernn.importers.vocabularies.finding import find_vocabulary
from edgernn.importers.vocabularies.tokenizing import tokenizer_of
from edgernn.importers.vocabularies.vocabulary import Specials

# sgrvinod's create_input_files.py: <pad> 0, words from 1, then <unk>, <start>, <end>.
WORDMAP = {"<pad>": 0, "a": 1, "dog": 2, "runs": 3, "<unk>": 4, "<start>": 5, "<end>": 6}


class Vocabulary:
    """As in yunjey's build_vocab.py."""

    def __init__(self) -> None:
        self.word2idx: dict[str, int] = {}
        self.idx2word: dict[int, str] = {}
        self.idx = 0
        for word in ("<pad>", "<start>", "<end>", "<unk>", "a", "dog", "."):
            self.word2idx[word] = self.idx
            self.idx2word[self.idx] = word
            self.idx += 1


class Dictionary:
    """As in awd-lstm-lm's data.py."""

    def __init__(self) -> None:
        self.idx2word = ["the", "cat", "<eos>"]
        self.word2idx = {word: i for i, word in enumerate(self.idx2word)}
        self.total = 9


class Corpus:
    """As in awd-lstm-lm's data.py."""

    def __init__(self) -> None:
        self.dictionary = Dictionary()


def written(path: Path, content: Any) -> Path:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_word_map(tmp_path: Path) -> None:
    path = written(tmp_path / "WORDMAP.json", WORDMAP)
    found = find_vocabulary(path, size=7, expected={"<pad>": 0})
    assert found.ids == WORDMAP
    assert found.specials == Specials(pad=0, start=5, end=6, unknown=4)
    assert not found.told
    tokenizer = tokenizer_of(found, "captions")
    assert tokenizer.kind == "caption"
    assert encode_caption(tokenizer, "A dog sits").tolist() == [5, 1, 2, 4, 6]
    assert caption_text(tokenizer, [5, 1, 2, 4, 3, 6, 3]) == "a dog runs"


def test_ids_that_the_family_numbers_otherwise_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "map.json", WORDMAP)
    found = find_vocabulary(path, expected={"<start>": 1, "<mask>": 2})
    assert found.told == (
        "<start> has the id 5, its family's own numbering has 1",
        "the vocabulary has no <mask>, which its family gives the id 2",
    )


@pytest.mark.parametrize(
    "content",
    [
        ["b", "a", "\u00e9"],
        {"2": "\u00e9", "0": "b", "1": "a"},
        {"b": 0, "a": 1, "\u00e9": 2},
        {"ix_to_word": {"0": "b", "1": "a", "2": "\u00e9"}, "images": [{"id": 3}]},
        {"config": {"size": 3}, "vocabulary": {"stoi": {"b": 0, "a": 1, "\u00e9": 2}}},
        "b\na\n\u00e9\n",
        "b 0\na 1\n\u00e9 2\n",
        "a\t1\n\u00e9\t2\nb\t0\n",
    ],
)
def test_every_form_of_a_file(tmp_path: Path, content: Any) -> None:
    found = find_vocabulary(written(tmp_path / "vocab", content), size=3)
    assert found.words == ("b", "a", "\u00e9")
    assert tokenizer_of(found, "characters").encode("a\u00e9b").tolist() == [1, 2, 0]


def test_a_corpus_of_a_word_a_line_has_a_row_for_eos(tmp_path: Path) -> None:
    path = written(tmp_path / "train.txt", "b\na\n")
    listed, corpus = find_vocabulary(path, size=2), find_vocabulary(path, size=3)
    assert (listed.words, corpus.words) == (("b", "a"), ("b", "<eos>", "a"))
    assert "read as a corpus" not in " ".join(listed.told)
    assert "train.txt begins with a word a line" in " ".join(corpus.told)


def test_ruotianluo_ids_from_one_beside_a_row_for_zero() -> None:
    infos = {"iter": 1, "vocab": {"1": "a", "2": "dog", "3": "UNK"}, "opt": {"rnn_size": 4}}
    found = find_vocabulary(infos, size=4, added={0: "<end>"}, specials={"unknown": "UNK"})
    assert found.words == ("<end>", "a", "dog", "UNK")
    assert (found.specials.end, found.specials.unknown, found.holes) == (0, 3, frozenset())
    tokenizer = tokenizer_of(found, "captions")
    assert encode_caption(tokenizer, "a DOG barks").tolist() == [0, 1, 2, 3, 0]
    assert caption_text(tokenizer, [0, 1, 2, 3, 0, 0]) == "a dog"


def test_textgenrnn_has_no_character_for_zero(tmp_path: Path) -> None:
    found = find_vocabulary(written(tmp_path / "vocab.json", {"e": 1, "t": 2}), size=3)
    assert found.holes == {0}
    assert "no word has the ids 0;" in found.told[0]
    tokenizer = tokenizer_of(found, "characters")
    assert (tokenizer.kind, tokenizer.vocabulary_size) == ("char", 3)
    assert tokenizer.encode("te").tolist() == [2, 1]


def test_printable() -> None:
    found = find_vocabulary(None, order="printable", size=100)
    tokenizer = tokenizer_of(found, "characters")
    text = "Hello, World!\n\t\x0b\x0c"
    assert tokenizer.encode(text).tolist() == [string.printable.index(c) for c in text]
    assert tokenizer.decode(range(100)) == string.printable
    assert "as '0', id 0" in found.told[0]
    with pytest.raises(DataError, match=r"has no '\u00e9'"):
        tokenizer.encode("caf\u00e9")


def test_torch7_ids_from_one_are_bytes() -> None:
    found = find_vocabulary({"\n": 1, "a": 3, "b": 2}, size=3, base=1)
    ascii_only = tokenizer_of(found, "bytes")
    assert (ascii_only.kind, ascii_only.encode("ab\n").tolist()) == ("char", [2, 1, 0])
    found = find_vocabulary({b"\xc3": 1, b"\xa9": 2, "a": 3}, size=3, base=1)
    assert tokenizer_of(found, "bytes").encode("a\u00e9").tolist() == [2, 0, 1]


def test_a_tokenizer_of_the_library_stays_as_it_is(tmp_path: Path) -> None:
    own = Tokenizer.build(["the cat the cat"], "word")
    own.save(tmp_path / "tokenizer.json")
    found = find_vocabulary(tmp_path / "tokenizer.json", size=own.vocabulary_size)
    assert tokenizer_of(found, "words").to_json() == own.to_json()
    with pytest.raises(
        DataError, match=f"has {own.vocabulary_size} ids, the model has rows for 99"
    ):
        find_vocabulary(tmp_path / "tokenizer.json", size=99)


def test_keras_tokenizer_has_words_beyond_the_rows(tmp_path: Path) -> None:
    inner = {"the": 1, "cat": 2, "sat": 3, "rare": 4}
    config = {"num_words": 4, "char_level": False, "word_index": json.dumps(inner)}
    path = written(tmp_path / "tokenizer.json", {"class_name": "Tokenizer", "config": config})
    found = find_vocabulary(path, size=4)
    assert found.words == ("<0>", "the", "cat", "sat")
    assert "4 words, the model has rows for the 3 most frequent" in found.told
    assert find_vocabulary(path, size=5).words[4] == "rare"
    with pytest.raises(DataError, match="has 5 ids, the model has rows for 6"):
        find_vocabulary(path, size=6)


def test_keras_text_vectorization_begins_with_an_empty_word(tmp_path: Path) -> None:
    found = find_vocabulary(written(tmp_path / "vocabulary.txt", "\n[UNK]\nthe\n"), size=3)
    assert (found.words, found.specials.unknown) == (("", "[UNK]", "the"), 1)
    assert tokenizer_of(found, "words").encode("the cat").tolist() == [2, 1]


def test_fastai_fills_up_with_one_word() -> None:
    found = find_vocabulary(["xxunk", "xxpad", "cat", "xxfake", "xxfake"], size=5)
    assert found.words == ("xxunk", "xxpad", "cat", "xxfake", "<4>")
    assert found.holes == {4}
    assert tokenizer_of(found, "words").encode("cat dog").tolist() == [2, 0]


@pytest.mark.parametrize(
    ("content", "size", "why"),
    [
        (["a", "b", "a"], None, "the word 'a' has the ids 0 and 2; expected each word once"),
        ({"a": 0, "b": 0}, None, "the word 'b' has the id 0, as has 'a'; expected one of its own"),
        ({"a": -1, "b": 0}, None, "the word 'a' has the id -1; expected"),
        ({"a": 0, "b": 9_999_999}, None, "has 2 words, but ids up to 9999999"),
        (["a", "b"], 3, "has 2 ids, the model has rows for 3; give the vocabulary file"),
        ({"a": 0.5}, None, "no vocabulary that is known: it is a dict with the keys 'a'"),
        ("a 5\nb 5\nc 3\n", None, "they are counts and no ids"),
        ('{"a": 0,', None, "is no vocabulary: as JSON"),
        ("caf\u00e9 au lait\n".encode("latin-1"), None, "is not UTF-8 text"),
        ("some words\nmore words\n".encode("utf-16"), None, "is UTF-16, expected UTF-8; convert"),
    ],
)
def test_what_is_refused(tmp_path: Path, content: Any, size: int | None, why: str) -> None:
    path = written(tmp_path / "vocab.json", content)
    with pytest.raises(DataError, match=why) as caught:
        find_vocabulary(path, size=size)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe is no plain file; give a word map"):
        find_vocabulary(tmp_path / "pipe")


def test_nothing_given() -> None:
    with pytest.raises(UsageError, match="give with --vocabulary the folder of its corpus"):
        find_vocabulary(None, size=3)
    with pytest.raises(DataError, match="cannot read the vocabulary"):
        find_vocabulary(Path("nothing-here"))


def test_words_that_are_of_another_kind(tmp_path: Path) -> None:
    found = find_vocabulary(["the", "cat"])
    with pytest.raises(DataError, match="'the', which is no single character"):
        tokenizer_of(found, "characters")
    with pytest.raises(DataError, match="'the', which is no single byte"):
        tokenizer_of(found, "bytes")


def test_a_text_that_begins_with_a_bracket_is_a_corpus(tmp_path: Path) -> None:
    path = written(tmp_path / "train.txt", "[ a b ]\n")
    assert find_vocabulary(path, size=5).words == ("[", "a", "b", "]", "<eos>")


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Vocabulary(), ("<pad>", "<start>", "<end>", "<unk>", "a", "dog", ".")),
        (Corpus(), ("the", "cat", "<eos>")),
        (["xxunk", "xxpad", "cat"], ("xxunk", "xxpad", "cat")),
        ({"iter": 7, "vocab": {"0": "EOS", "1": "a"}}, ("EOS", "a")),
        ((("e", "t"), {"e": 0, "t": 1}), ("e", "t")),  # sherjilozair's chars_vocab.pkl
    ],
    ids=["yunjey", "awd", "fastai", "ruotianluo", "sherjilozair"],
)
def test_pickles(tmp_path: Path, thing: Any, words: tuple[str, ...], protocol: int) -> None:
    path = written(tmp_path / "vocab.pkl", pickle.dumps(thing, protocol=protocol))
    assert find_vocabulary(path, size=len(words)).words == words


def test_the_released_captioner_has_more_rows_than_a_rebuilt_vocabulary() -> None:
    rebuilt = ["<pad>", "<start>", "<end>", "<unk>", *(f"word{i}" for i in range(9944))]
    with pytest.raises(DataError, match="has 9948 ids, the model has rows for 9956; give"):
        find_vocabulary(rebuilt, size=9956)
