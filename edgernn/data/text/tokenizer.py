"""Text to ids and back, over one Hugging Face ``tokenizer.json``.

Every host that reads a bundle (Python, Swift, Kotlin, JavaScript, Rust) reads that same file with
its own library. Here the tokenizers library decodes, and encodes words and byte pairs; characters,
bytes and words between spaces are encoded by tables, which give the same ids many times faster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import tokenizers

from edgernn import storage
from edgernn.data.text import token_kinds
from edgernn.data.text.code_points import encodable
from edgernn.data.text.given_vocabulary import table_of
from edgernn.data.text.library import library_errors, smallest_dtype, unknown_id
from edgernn.data.text.pieces import cut_pieces
from edgernn.data.text.tables import Table
from edgernn.errors import DataError, UsageError
from edgernn.storage import strict_json
from edgernn.wording import expected_one_of

TOKEN_KINDS = tuple(token_kinds.KINDS)
OnUnknown = Literal["error", "skip"]
Ids = npt.NDArray[Any]  # one axis of unsigned or signed integers

_PIECES_PER_BATCH = 16
_MOST_BYTES = 256 << 20
_MOST_HOLES = 1000
_SHOWN = 10  # characters or words that a message names


class Tokenizer:
    """Text to ids and back; never changes once made.

    Attributes:
        kind: one of ``TOKEN_KINDS``; ``"spaced"`` for words of a network that others trained; or
            ``"custom"`` for a ``tokenizer.json`` of another make. A custom one is used as its
            library uses it, without truncation, padding or special tokens around the text; it may
            lose characters that it does not know, and bulk encoding may differ at the cuts.
        vocabulary_size: V, one more than the highest id.
        unknown_id: the id that stands for what the vocabulary lacks, or None. Of edgernn's kinds,
            word and caption have one, and spaced where its vocabulary does.
        id_dtype: the smallest of uint8, uint16 and uint32 (little-endian) that holds every id.
        decoder: the type of the pipeline's decoder, such as ``"ByteLevel"`` or ``"Fuse"``, or None.
    """

    def __init__(self, json_text: str, *, origin: str = "tokenizer.json") -> None:
        """Read a ``tokenizer.json``; arguments and errors as ``from_json``."""
        remedy = "give a tokenizer.json of the Hugging Face format"
        try:
            document = strict_json.parse_object(json_text)
        except ValueError as error:
            raise DataError(f"{origin} is not a tokenizer: {error}; {remedy}") from error
        with library_errors(f"{origin} is not a tokenizer", remedy):
            self._library = tokenizers.Tokenizer.from_str(json_text)
        self._library.no_truncation()
        self._library.no_padding()
        self._json = json_text
        vocabulary = self._library.get_vocab(with_added_tokens=True)
        if not vocabulary:
            raise DataError(f"{origin} has an empty vocabulary; give a tokenizer that was trained")
        highest = max(vocabulary.values())
        # the library counts through the holes, and a model has a row for each
        if highest >= 2 * len(vocabulary) + _MOST_HOLES:
            raise DataError(
                f"{origin} has {len(vocabulary)} tokens, but ids up to {highest}; give one "
                "without such holes"
            )
        self.kind: str = token_kinds.kind_of(self._library)
        self.vocabulary_size: int = highest + 1
        self.unknown_id: int | None = unknown_id(document["model"], vocabulary)
        self.id_dtype: np.dtype[Any] = smallest_dtype(self.vocabulary_size)
        self.decoder: str | None = (document.get("decoder") or {}).get("type")
        self._vocabulary = vocabulary
        self._table = table_of(self.kind, self._library)

    @classmethod
    def build(
        cls,
        chunks: Iterable[str],
        kind: str,
        *,
        minimum_count: int = 2,
        vocabulary_size: int | None = None,
    ) -> Tokenizer:
        """Make the tokenizer of a text in one pass over it.

        Args:
            chunks: the text, cut anywhere; not read for kind byte, whose ids are the byte values.
            kind: one of ``TOKEN_KINDS``.
            minimum_count: the fewest occurrences of a word (word) or of a merge (bpe). With 2, the
                words seen once become ``<unk>``, so that a model meets unknown words while it
                learns.
            vocabulary_size: the most ids of word and caption (by default 20,000) and bpe (by
                default 4,096, at least 256).

        Raises:
            UsageError: an unknown kind, or limits that cannot hold.
            DataError: no text, or no word that occurs often enough.
        """
        valid = (encodable(chunk, skip=False) for chunk in chunks)
        library = token_kinds.build(
            valid, kind, minimum_count=minimum_count, vocabulary_size=vocabulary_size
        )
        return cls(library.to_str(pretty=True))

    @classmethod
    def from_json(cls, text: str, *, origin: str = "tokenizer.json") -> Tokenizer:
        """Read the content of a ``tokenizer.json``; ``origin`` names it in errors.

        Raises:
            DataError: it is damaged, foreign or has no vocabulary.
        """
        return cls(text, origin=origin)

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read a ``tokenizer.json`` file.

        Raises:
            DataError: it is missing, unreadable, damaged or foreign.
        """
        try:
            text = storage.read_bytes(path, most=_MOST_BYTES).decode()
        except OSError as error:
            raise DataError(
                f"cannot read the tokenizer {path}: {storage.reason(error)}; give a tokenizer.json"
            ) from error
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} is not a tokenizer: it is not UTF-8 text; give a tokenizer.json"
            ) from error
        return cls(text, origin=str(path))

    def save(self, path: Path) -> None:
        """Write the ``tokenizer.json``, whole or not at all.

        Raises:
            StorageError: the file could not be written.
        """
        storage.write_text(path, self._json)

    def to_json(self) -> str:
        """Return the ``tokenizer.json`` that this tokenizer was read from, unchanged."""
        return self._json

    @property
    def sha256(self) -> str:
        """The SHA-256 of the ``tokenizer.json``, in hexadecimal."""
        return hashlib.sha256(self._json.encode()).hexdigest()

    def encode(self, text: str, *, on_unknown: OnUnknown = "error") -> npt.NDArray[np.int64]:
        """Return the ids of a text.

        Args:
            text: any text, such as a prompt.
            on_unknown: what to do with characters that the vocabulary lacks: raise, or leave them
                out. Unknown words become ``unknown_id``; ``"skip"`` leaves them out too.

        Returns:
            ids, int64 ``[N]``, each in ``[0, vocabulary_size)``.

        Raises:
            DataError: the vocabulary lacks a character, or has no token for an unknown word.
            UsageError: ``on_unknown`` is neither.
        """
        parts = list(self.encode_stream([text], on_unknown=on_unknown))
        return np.concatenate([np.empty(0, self.id_dtype), *parts]).astype(np.int64)  # [N]

    def encode_stream(
        self, chunks: Iterable[str], *, on_unknown: OnUnknown = "error"
    ) -> Iterator[Ids]:
        """Yield the ids of a long text part by part, in bounded memory; their concatenation is
        ``encode`` of the whole.

        Args:
            chunks: the text, cut anywhere.
            on_unknown: as for ``encode``.

        Returns:
            ids, ``id_dtype`` ``[n]`` each.

        Raises:
            DataError, UsageError: as for ``encode``.
        """
        if on_unknown not in get_args(OnUnknown):
            raise UsageError(
                f"on_unknown is {on_unknown!r}; {expected_one_of(on_unknown, get_args(OnUnknown))}"
            )
        valid = (encodable(chunk, skip=on_unknown == "skip") for chunk in chunks)
        if self._table is None:
            return self._encode_by_library(cut_pieces(valid), on_unknown)
        pieces = cut_pieces(valid) if self._table.noun == "words" else valid
        return (self._encode_by_table(self._table, piece, on_unknown) for piece in pieces)

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """Return the text of ids; bytes that are not valid UTF-8 become U+FFFD.

        Args:
            ids: ids ``[N]`` of any integer type.

        Raises:
            DataError: an id is outside the vocabulary, or no whole number.
        """
        try:
            array = np.asarray(ids, dtype=np.int64)  # [N]
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(
                f"the ids are {type(ids).__name__}, expected whole numbers ({error})"
            ) from error
        outside = array[(array < 0) | (array >= self.vocabulary_size)]
        if outside.size:
            raise self._outside(int(outside[0]))
        text: str = self._library.decode(array.tolist(), skip_special_tokens=False)
        return text

    def token(self, token_id: int) -> str:
        """Return a token as the vocabulary spells it (byte-level for byte and bpe).

        Raises:
            DataError: the id is outside the vocabulary.
        """
        token = (
            self._library.id_to_token(token_id) if 0 <= token_id < self.vocabulary_size else None
        )
        if token is None:
            raise self._outside(token_id)
        return token

    def id_of(self, token: str) -> int | None:
        """Return the id of a token as the vocabulary spells it, or None where it has none."""
        return self._vocabulary.get(token)

    def _outside(self, token_id: int) -> DataError:
        return DataError(
            f"there is no token {token_id}; the vocabulary has {self.vocabulary_size} ids from 0. "
            "Use the tokenizer that belongs to the model"
        )

    def _encode_by_table(self, table: Table, text: str, on_unknown: OnUnknown) -> Ids:
        ids, lacking = table.encode(text)  # [N], -1 = unknown
        if lacking and on_unknown == "error" and self.unknown_id is None:
            raise self._lacks(lacking, table.noun)
        if self.unknown_id is not None:
            ids = np.where(ids < 0, self.unknown_id, ids)
            ids = ids[ids != self.unknown_id] if on_unknown == "skip" else ids
        return ids[ids >= 0].astype(self.id_dtype)

    def _lacks(self, tokens: list[str], noun: str) -> DataError:
        shown = ", ".join(repr(token) for token in tokens[:_SHOWN])
        more = f" and {len(tokens) - _SHOWN} more" if len(tokens) > _SHOWN else ""
        return DataError(
            f"the vocabulary has no {shown}{more}; it knows {self.vocabulary_size} {noun}. "
            "Remove them or use --on-unknown skip"
        )

    def _encode_by_library(self, pieces: Iterator[str], on_unknown: OnUnknown) -> Iterator[Ids]:
        while batch := list(islice(pieces, _PIECES_PER_BATCH)):
            with library_errors(
                "the tokenizer cannot encode this text", "use one whose vocabulary has such a token"
            ):
                encodings = self._library.encode_batch_fast(batch, add_special_tokens=False)
            for encoding in encodings:
                ids = np.array(encoding.ids, dtype=self.id_dtype)  # [n]
                yield (
                    ids[ids != self.unknown_id]
                    if on_unknown == "skip" and self.unknown_id is not None
                    else ids
                )
