"""An encoded corpus: ids on disk, memory-mapped, with what is needed to trust a loss that was
measured on them.

    tokens.ids      raw little-endian integers: the training ids, then the validation ids
    corpus.json     dtype, counts, the source, how it was split, and the digest of the
                    tokenizer.json that made the ids

Encoding streams; opening maps. Neither holds a corpus in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, get_type_hints

import numpy as np

from edgernn import storage
from edgernn.data.text.source import CorpusSource
from edgernn.data.text.tokenizer import Ids, OnUnknown, Tokenizer
from edgernn.errors import DataError, UsageError

IDS_FILE = "tokens.ids"
DESCRIPTION_FILE = "corpus.json"
_SCHEMA_VERSION = 1
_DTYPES = ("uint8", "uint16", "uint32")
_FEWEST = 2  # an input token and the token to predict
_LARGEST_FRACTION = 0.5


@dataclass(frozen=True)
class _Description:
    """The content of ``corpus.json``."""

    schema_version: int
    dtype: str
    train_count: int
    validation_count: int
    vocabulary_size: int
    source: str
    split: str
    tokenizer_sha256: str


@dataclass(frozen=True, eq=False)
class Corpus:
    """A corpus as ids, read-only.

    Attributes:
        folder: where it lies.
        train: ids to learn from, ``[N]``, memory-mapped uint8, uint16 or uint32.
        validation: ids to measure the loss on, ``[M]``, contiguous and disjoint from ``train``.
        source: the name of the text.
        split: where the validation ids come from, such as ``last 10 % of input.txt``; say it beside
            every loss.
        vocabulary_size: V; every id is below it.
        tokenizer_sha256: the digest of the ``tokenizer.json`` that made the ids.
    """

    folder: Path
    train: Ids
    validation: Ids
    source: str
    split: str
    vocabulary_size: int
    tokenizer_sha256: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """The integer type of the ids."""
        return self.train.dtype

    @classmethod
    def encode(
        cls,
        source: CorpusSource,
        tokenizer: Tokenizer,
        folder: Path,
        *,
        validation_fraction: float = 0.1,
        validation_source: CorpusSource | None = None,
        on_unknown: OnUnknown = "error",
    ) -> Corpus:
        """Encode a text into a folder, in bounded memory, and open the result.

        Args:
            source: the text.
            tokenizer: what makes the ids.
            folder: where the corpus goes; an older corpus there is replaced once the new one is
                whole.
            validation_fraction: how much of the ids, at their end, is kept for validation; in (0,
                0.5].
            validation_source: a text of its own for validation, instead of the end of ``source``.
            on_unknown: as for ``Tokenizer.encode``.

        Raises:
            DataError: a text cannot be read or encoded, or a part has fewer than 2 tokens.
            StorageError: the folder could not be written; nothing of the attempt is left.
            UsageError: the fraction is out of range, or the folder holds other files.
        """
        _check_fraction(validation_fraction)
        _refuse_foreign_files(folder)
        texts = [source] if validation_source is None else [source, validation_source]
        with storage.replacing(folder) as temporary:
            temporary.mkdir()
            with (temporary / IDS_FILE).open("wb") as file:
                counts = [
                    _append(file, tokenizer.encode_stream(text.chunks(), on_unknown=on_unknown))
                    for text in texts
                ]
                os.fsync(file.fileno())
            if validation_source is None:
                split = f"last {100 * validation_fraction:g} % of {source.name}"
                counts = _split(counts[0], validation_fraction)
            else:
                split = f"own file {validation_source.name}"
            description = _describe(tokenizer, counts, source=source.name, split=split)
            (temporary / DESCRIPTION_FILE).write_text(
                json.dumps(asdict(description), indent=2) + "\n", "utf-8"
            )
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Corpus:
        """Memory-map an encoded corpus.

        Raises:
            DataError: the folder holds none, or its files are damaged or do not fit each other.
        """
        description = _read_description(folder / DESCRIPTION_FILE)
        ids = _map_ids(folder / IDS_FILE, description)
        return cls(
            folder=folder,
            train=ids[: description.train_count],
            validation=ids[description.train_count :],
            source=description.source,
            split=description.split,
            vocabulary_size=description.vocabulary_size,
            tokenizer_sha256=description.tokenizer_sha256,
        )

    def check_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Make sure that a tokenizer is the one that made the ids.

        Raises:
            DataError: it is another.
        """
        if tokenizer.sha256 != self.tokenizer_sha256:
            raise DataError(
                f"the corpus in {self.folder} was encoded by another tokenizer (sha256 "
                f"{self.tokenizer_sha256[:12]}, "
                f"not {tokenizer.sha256[:12]}); encode {self.source} again"
            )


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction <= _LARGEST_FRACTION:
        raise UsageError(
            f"the validation fraction is {fraction}; give one above 0 and up to {_LARGEST_FRACTION}"
        )


def _refuse_foreign_files(folder: Path) -> None:
    """Raise rather than replace a folder that holds anything but a corpus."""
    others = (
        {path.name for path in folder.iterdir()} - {IDS_FILE, DESCRIPTION_FILE}
        if folder.is_dir()
        else set()
    )
    if others:
        raise UsageError(
            f"the folder {folder} holds other files ({min(others)}); give a new or an empty folder"
        )


def _append(file: BinaryIO, parts: Iterator[Ids]) -> int:
    """Write ids to the end of a file and return how many there were."""
    count = 0
    for ids in parts:
        file.write(ids.tobytes())
        count += ids.size
    return count


def _split(count: int, fraction: float) -> list[int]:
    validation_count = int(count * fraction)
    return [count - validation_count, validation_count]


def _describe(tokenizer: Tokenizer, counts: list[int], *, source: str, split: str) -> _Description:
    for part, count in zip(("training", "validation"), counts, strict=True):
        if count < _FEWEST:
            raise DataError(
                f"the {part} part of {source} ({split} is for validation) has {count} tokens, "
                f"fewer than {_FEWEST}; "
                "give more text or another validation fraction"
            )
    return _Description(
        schema_version=_SCHEMA_VERSION,
        dtype=tokenizer.id_dtype.name,
        train_count=counts[0],
        validation_count=counts[1],
        vocabulary_size=tokenizer.vocabulary_size,
        source=source,
        split=split,
        tokenizer_sha256=tokenizer.sha256,
    )


def _read_description(path: Path) -> _Description:
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"no encoded corpus in {path.parent}: {error.strerror} ({path.name}); encode a text"
        ) from error
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}; encode the text again") from error
    expected = get_type_hints(_Description)
    fields = document if isinstance(document, dict) else {}
    wrong = [name for name, kind in expected.items() if not isinstance(fields.get(name), kind)]
    if wrong:
        raise DataError(f"{path} has no valid {', '.join(wrong)}; encode the text again")
    description = _Description(**{name: fields[name] for name in expected})
    if description.schema_version != _SCHEMA_VERSION or description.dtype not in _DTYPES:
        raise DataError(
            f"{path} has schema version {description.schema_version} and dtype "
            f"{description.dtype}; expected version "
            f"{_SCHEMA_VERSION} and one of {', '.join(_DTYPES)}; encode the text again"
        )
    return description


def _map_ids(path: Path, description: _Description) -> Ids:
    dtype = np.dtype(description.dtype).newbyteorder("<")
    expected_bytes = (description.train_count + description.validation_count) * dtype.itemsize
    try:
        seen_bytes = storage.size_bytes(path)
        if (
            min(description.train_count, description.validation_count) >= _FEWEST
            and seen_bytes == expected_bytes
        ):
            return np.memmap(path, dtype=dtype, mode="r")  # [N + M]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; encode the text again") from error
    raise DataError(
        f"{path} has {seen_bytes} bytes, but {DESCRIPTION_FILE} promises "
        f"{description.train_count} training and "
        f"{description.validation_count} validation ids in {expected_bytes} bytes; encode the "
        "text again"
    )
