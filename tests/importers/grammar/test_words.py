"""What lies beside a checkpoint of a language model."""

from __future__ import annotations

from pathlib import Path

from edgernn.importers.grammar.words import held_out
from edgernn.importers.vocabularies.finding import find_vocabulary
from edgernn.importers.vocabularies.tokenizing import tokenizer_of


def test_held_out_text_keeps_its_literal_unknown_words(tmp_path: Path) -> None:
    for part, text in (
        ("train", "the cat <unk>\n"),
        ("valid", "a <unk>\n"),
        ("test", "the <unk> a\n"),
    ):
        (tmp_path / f"{part}.txt").write_text(text)
    found = find_vocabulary(tmp_path)
    ids = [found.ids[word] for word in ("the", "<unk>", "a", "<eos>")]
    assert held_out(tmp_path, tokenizer_of(found, "words"))["tokens"].tolist() == ids
