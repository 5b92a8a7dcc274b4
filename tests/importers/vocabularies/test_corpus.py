"""Ids in the order of first appearance, as the upstream's own loop gives them."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edgernn.errors import DataError
from edgernn.importers.vocabularies.corpus import corpus_files, read_corpus
from edgernn.importers.vocabularies.finding import find_vocabulary
from edgernn.importers.vocabularies.tokenizing import tokenizer_of

TEXTS = {
    "train": "the cat <unk>\n\nThe cat\tsat .  \n",
    "valid": "a dog sat\r\nthe end",
    "test": "\ufeffa word\x1fof its own\n",
}


def write(folder: Path, texts: dict[str, str] = TEXTS, name: str = "{}.txt") -> Path:
    folder.mkdir(exist_ok=True)
    for part, text in texts.items():
        (folder / name.format(part)).write_bytes(text.encode())
    return folder


class Dictionary:
    """As in pytorch/examples word_language_model/data.py and awd-lstm-lm/data.py."""

    def __init__(self, folder: Path, parts: tuple[str, ...] = ("train", "valid", "test")) -> None:
        self.word2idx: dict[str, int] = {}
        self.ids: list[int] = []
        for part in parts:
            with (folder / f"{part}.txt").open(encoding="utf8") as file:
                for line in file:
                    for word in [*line.split(), "<eos>"]:
                        self.ids.append(self.word2idx.setdefault(word, len(self.word2idx)))


def test_ids_are_those_of_the_upstream(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus")
    wanted = Dictionary(folder)
    found = find_vocabulary(folder, size=len(wanted.word2idx))
    assert found.ids == wanted.word2idx
    assert found.specials.eos == wanted.word2idx["<eos>"]
    assert found.specials.unknown == wanted.word2idx["<unk>"]
    tokenizer = tokenizer_of(found, "words")
    text = "".join(f"{text}\n" if text[-1] != "\n" else text for text in TEXTS.values())
    assert tokenizer.encode(text).tolist() == wanted.ids


def test_a_prompt_has_an_eos_at_each_line_end(tmp_path: Path) -> None:
    found = find_vocabulary(write(tmp_path / "corpus"))
    ids, tokenizer = found.ids, tokenizer_of(found, "words")
    prompt = tokenizer.encode("the cat\nsat")
    assert prompt.tolist() == [ids["the"], ids["cat"], ids["<eos>"], ids["sat"]]
    assert tokenizer.decode(prompt) == "the cat\nsat"
    assert tokenizer.encode("xyzzy").tolist() == [ids["<unk>"]]


def test_without_a_literal_unk_an_unknown_word_is_an_error(tmp_path: Path) -> None:
    found = find_vocabulary(write(tmp_path / "corpus", {"train": "the cat\n"}))
    with pytest.raises(DataError, match="has no 'xyzzy'; it knows 3 words"):
        tokenizer_of(found, "words").encode("the xyzzy")


def test_another_size_is_refused_with_both_numbers(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus")
    count = len(Dictionary(folder).word2idx)
    with pytest.raises(
        DataError, match=rf"has {count} ids, the model has rows for {count + 1}; give"
    ):
        find_vocabulary(folder, size=count + 1)


def test_rows_for_the_training_part_alone(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus")
    wanted = Dictionary(folder, ("train",))
    found = find_vocabulary(folder, size=len(wanted.word2idx))
    assert found.ids == wanted.word2idx
    assert any("train.txt alone" in sentence for sentence in found.told)


@pytest.mark.parametrize("name", ["wiki.{}.tokens", "ptb.{}.txt"])
def test_names_of_the_public_corpora(tmp_path: Path, name: str) -> None:
    found = find_vocabulary(write(tmp_path / "b", name=name))
    assert found.words == find_vocabulary(write(tmp_path / "a")).words


def test_a_missing_part_is_told_and_a_missing_corpus_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "corpus", {"train": "a b\n", "test": "c\n"})
    assert "has only train.txt, test.txt" in find_vocabulary(folder).told[0]
    (folder / "train.txt").unlink()
    with pytest.raises(DataError, match=r"has no train\.txt"):
        corpus_files(folder)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"a\xff b\n", "is not UTF-8"), (b"a\0b\n", "NUL byte"), (b"", "has no words")],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    folder = write(tmp_path / "corpus")
    for part in TEXTS:
        (folder / f"{part}.txt").write_bytes(content)
    with pytest.raises(DataError, match=why):
        find_vocabulary(folder)


def test_a_word_without_end_is_refused_and_a_long_line_is_not(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("word " * 700_000 + "end")
    assert read_corpus([path], size=3).pairs == (("word", 0), ("end", 1), ("<eos>", 2))
    path.write_text("w" * 1_500_000)
    with pytest.raises(DataError, match="a word of more than"):
        read_corpus([path], size=3)


def test_a_large_corpus_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("some words of a long text\n" * 200_000)  # 5.2 MB
    tracemalloc.start()
    try:
        found = read_corpus([path], size=7)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.pairs) == 7
    assert peak < 3_000_000


CASES = os.environ.get("EDGERNN_CASES")


@pytest.mark.skipif(not CASES, reason="EDGERNN_CASES names no folder of cases")
def test_the_recorded_vocabulary() -> None:
    folder = Path(str(CASES)) / "foreign"
    with np.load(folder / "data" / "pyex_trained.npz") as run:
        words = run["ctx/vocabulary"].tobytes().decode().split("\n")
    assert list(find_vocabulary(folder / "checkpoints" / "corpus", size=22).words) == words
