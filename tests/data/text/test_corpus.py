"""An encoded corpus holds exactly the tokens of its text, whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.data.text import corpus as corpus_module
from edgernn.data.text.corpus import Corpus
from edgernn.data.text.source import CorpusSource, open_source
from edgernn.data.text.tokenizer import TOKEN_KINDS, Tokenizer
from edgernn.errors import DataError, StorageError, UsageError

TEXT = "".join(f"Line {number} of the text.\n" for number in range(200))
TOKENIZER = Tokenizer.build([TEXT], "char")


def source_of(text: str, name: str = "input.txt") -> CorpusSource:
    return CorpusSource(name, lambda: iter([text[:100], text[100:]]))


@pytest.mark.parametrize("kind", TOKEN_KINDS)
def test_it_holds_the_tokens_of_its_text(kind: str, tmp_path: Path) -> None:
    tokenizer = Tokenizer.build([TEXT], kind, vocabulary_size=300)
    corpus = Corpus.encode(source_of(TEXT), tokenizer, tmp_path / "corpus")
    ids = tokenizer.encode(TEXT)
    assert np.concatenate([corpus.train, corpus.validation]).tolist() == ids.tolist()
    assert len(corpus.validation) == len(ids) // 10
    assert corpus.dtype == tokenizer.id_dtype
    assert corpus.vocabulary_size == tokenizer.vocabulary_size
    assert (corpus.source, corpus.split) == ("input.txt", "last 10 % of input.txt")


def test_opening_gives_it_again_without_reading_it(tmp_path: Path) -> None:
    written = Corpus.encode(
        source_of(TEXT), TOKENIZER, tmp_path / "corpus", validation_fraction=0.07
    )
    opened = Corpus.open(tmp_path / "corpus")
    assert isinstance(opened.train, np.memmap)
    assert not opened.train.flags.writeable
    assert opened.train.tolist() == written.train.tolist()
    assert opened.validation.tolist() == written.validation.tolist()
    assert (opened.source, opened.split) == ("input.txt", "last 7 % of input.txt")
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == [
        "corpus.json",
        "tokens.ids",
    ]


@settings(max_examples=60, deadline=None)
@given(count=st.integers(4, 5000), fraction=st.floats(0.001, 0.5))
def test_the_split_loses_nothing(count: int, fraction: float) -> None:
    train, validation = corpus_module._split(count, fraction)
    assert train + validation == count
    assert validation <= count * fraction < validation + 1


def test_validation_from_its_own_text(tmp_path: Path) -> None:
    own = source_of("Line 1.\n", "val.txt")
    corpus = Corpus.encode(source_of(TEXT), TOKENIZER, tmp_path / "corpus", validation_source=own)
    assert TOKENIZER.decode(corpus.train) == TEXT
    assert TOKENIZER.decode(corpus.validation) == "Line 1.\n"
    assert corpus.split == "own file val.txt"


def test_unknown_characters_in_the_validation_text(tmp_path: Path) -> None:
    def encode(**options: str) -> Corpus:
        own = source_of("Line \u00e9 1.\n", "val.txt")
        return Corpus.encode(
            source_of(TEXT), TOKENIZER, tmp_path / "corpus", validation_source=own, **options
        )  # type: ignore[arg-type]

    with pytest.raises(DataError, match="the vocabulary has no '\u00e9'"):
        encode()
    assert list(tmp_path.iterdir()) == []
    assert TOKENIZER.decode(encode(on_unknown="skip").validation) == "Line  1.\n"


@pytest.mark.parametrize("fraction", [0.0, -0.1, 0.51, 1.0, float("nan")])
def test_a_fraction_out_of_range(fraction: float, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=f"validation fraction is {fraction}; give one above 0 and up to 0.5"
    ):
        Corpus.encode(source_of(TEXT), TOKENIZER, tmp_path / "corpus", validation_fraction=fraction)


def test_a_text_too_short_to_split(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"the validation part of input.txt .* has 1 tokens, fewer than 2; give more",
    ):
        Corpus.encode(source_of("Line 1 of the text"), TOKENIZER, tmp_path / "corpus")
    with pytest.raises(DataError, match=r"the training part of input.txt .* has 1 tokens"):
        Corpus.encode(
            source_of("L"), TOKENIZER, tmp_path / "corpus", validation_source=source_of(TEXT)
        )
    assert list(tmp_path.iterdir()) == []


def test_another_tokenizer_is_noticed(tmp_path: Path) -> None:
    corpus = Corpus.encode(source_of(TEXT), TOKENIZER, tmp_path / "corpus")
    corpus.check_tokenizer(Tokenizer.from_json(TOKENIZER.to_json()))
    with pytest.raises(DataError, match=r"encoded by another tokenizer .*; encode input.txt again"):
        corpus.check_tokenizer(Tokenizer.build([TEXT + "\u00e9"], "char"))


def test_a_new_corpus_replaces_the_old_one(tmp_path: Path) -> None:
    old = Corpus.encode(source_of(TEXT), TOKENIZER, tmp_path / "corpus")
    new = Corpus.encode(source_of(TEXT[:100]), TOKENIZER, tmp_path / "corpus")
    assert TOKENIZER.decode(new.train) == TEXT[:90]
    assert TOKENIZER.decode(old.train) == TEXT[: len(old.train)]
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds other files \(thesis.tex\)"):
        Corpus.encode(source_of(TEXT), TOKENIZER, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_text_that_breaks_off_leaves_the_old_corpus(tmp_path: Path) -> None:
    Corpus.encode(source_of(TEXT), TOKENIZER, tmp_path / "corpus")

    def broken() -> Iterator[str]:
        yield TEXT
        raise DataError("input.txt is not UTF-8")

    with pytest.raises(DataError, match="not UTF-8"):
        Corpus.encode(CorpusSource("input.txt", broken), TOKENIZER, tmp_path / "corpus")
    assert len(Corpus.open(tmp_path / "corpus").train) == len(TEXT) - len(TEXT) // 10
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


FULL_DISK = """
import resource, sys
from pathlib import Path
from edgernn.data.text.corpus import Corpus
from edgernn.data.text.source import open_source
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import StorageError
tokenizer = Tokenizer.build([], "byte")
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    Corpus.encode(open_source(sys.argv[1]), tokenizer, Path(sys.argv[2]))
except StorageError as error:
    print(error)
"""


def test_a_disk_that_fills_leaves_nothing_half_written(tmp_path: Path) -> None:
    text, folder = tmp_path / "input.txt", tmp_path / "run" / "corpus"
    text.write_text("x" * 100_000)
    environment = {**os.environ, "PYTHONPATH": str(Path(corpus_module.__file__).parents[2])}
    command = [sys.executable, "-c", FULL_DISK, str(text), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.startswith(
        f"could not write {folder}: File too large; what was saved before is unchanged."
    )
    assert list(folder.parent.iterdir()) == []

    Corpus.encode(source_of(TEXT), TOKENIZER, folder)
    subprocess.run(command, capture_output=True, env=environment, check=True)
    assert TOKENIZER.decode(Corpus.open(folder).train[:6]) == "Line 0"
    assert [path.name for path in folder.parent.iterdir()] == ["corpus"]


def test_an_unwritable_description_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *arguments: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match="No space left on device"):
        Corpus.encode(source_of(TEXT), TOKENIZER, tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def damaged(tmp_path: Path, **changes: object) -> str:
    folder = tmp_path / "corpus"
    if not folder.exists():
        Corpus.encode(source_of(TEXT), TOKENIZER, folder)
    path = folder / "corpus.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return message_of_opening(folder)


def message_of_opening(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        Corpus.open(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_description_that_does_not_fit(tmp_path: Path) -> None:
    assert "has no valid train_count, split;" in damaged(tmp_path, train_count="9", split=None)
    assert "has 4290 bytes" in damaged(tmp_path, train_count=9, split="x")
    assert "schema version 2" in damaged(tmp_path, schema_version=2)
    assert "dtype float32; expected version 1 and one of uint8" in damaged(
        tmp_path, schema_version=1, dtype="float32"
    )
    assert "promises -1 training and 4291 validation ids" in damaged(
        tmp_path, dtype="uint8", train_count=-1, validation_count=4291
    )


def test_damaged_files(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    assert message_of_opening(folder).startswith(
        f"no encoded corpus in {folder}: No such file or directory"
    )
    Corpus.encode(source_of(TEXT), TOKENIZER, folder)
    ids = (folder / "tokens.ids").read_bytes()
    (folder / "tokens.ids").write_bytes(ids[:-1])
    assert (
        "tokens.ids has 4289 bytes, but corpus.json promises 3861 training and 429"
        in message_of_opening(folder)
    )
    (folder / "tokens.ids").unlink()
    assert "cannot read" in message_of_opening(folder)
    for content in ("[]", "{", "\x00"):
        (folder / "corpus.json").write_text(content)
        assert "encode the text again" in message_of_opening(folder)


def test_from_a_file_to_ids(tmp_path: Path) -> None:
    (tmp_path / "input.txt").write_text(TEXT)
    with open_source(str(tmp_path / "input.txt")) as source:
        tokenizer = Tokenizer.build(source.chunks(), "char")
        corpus = Corpus.encode(source, tokenizer, tmp_path / "corpus")
    assert tokenizer.decode(corpus.train) + tokenizer.decode(corpus.validation) == TEXT
