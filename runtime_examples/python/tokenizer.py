"""Text to token ids and back, for every kind of tokens that edgernn writes, read from
``tokenizer.json``.

Ids become text by a table, for every kind. Text becomes ids by a table for characters and bytes;
for words, byte pairs and captions by the tokenizers library, where it is installed: ``pip install
tokenizers``.
"""

from __future__ import annotations

import codecs
import json
from typing import Any

from errors import BundleError, first_line

KINDS = ("char", "byte", "word", "bpe", "spaced", "caption")  # of tokens
BYTE_KINDS = ("byte", "bpe")  # their tokens are bytes, spelled as characters
WORD_KINDS = ("word", "spaced", "caption")
SPACED_KINDS = ("spaced", "caption")  # words, with a space between two, but for line ends
TABLE_KINDS = ("char", "byte")


class Tokenizer:
    """A tokenizer of a bundle; raises ``BundleError`` where it is damaged or of another model.

    Args:
        content: of ``tokenizer.json``.
        entry: of the manifest: what must agree.

    Attributes:
        tokens: the token of each id.
        kind: one of ``KINDS``.
    """

    def __init__(self, content: bytes, entry: dict[str, Any]) -> None:
        self.kind: str = entry["kind"]
        self.path: str = entry["path"]
        if self.kind not in KINDS:
            raise BundleError(
                f"the tokenizer is of kind {self.kind}, expected one of {', '.join(KINDS)}; "
                "use the tokenizers library"
            )
        try:
            self._text = content.decode()
            model = json.loads(self._text)["model"]
            vocabulary, unknown = model["vocab"], model.get("unk_token")
            self.ids: dict[str, int] = {
                token: token_id for token, token_id in vocabulary.items() if type(token_id) is int
            }
            self.tokens = {token_id: token for token, token_id in self.ids.items()}
            self._unknown = self.ids.get(unknown) if self.kind in WORD_KINDS else None
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(first_line(error)) from error
        if sorted(self.tokens) != list(range(entry["vocabulary_size"])):
            raise self._damaged(
                f"{len(self.tokens)} tokens, expected the ids 0 to {entry['vocabulary_size'] - 1}"
            )
        if self.kind in BYTE_KINDS:
            self._byte_of = {character: byte for byte, character in enumerate(byte_characters())}
        if self.kind == "byte" and self._byte_of.keys() - self.ids.keys():
            raise self._damaged("no token for some byte, expected one for each")
        if self.kind in TABLE_KINDS and self.differing(entry) != 0:
            raise self._damaged("other ids of the recorded text than the manifest has")

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text; raise ``BundleError`` with what there is no token for."""
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise BundleError(
                f"the text holds {text[error.start]!a}, which is no character; give UTF-8 text"
            ) from error
        if self.kind == "char":
            lacking = next((c for c in text if c not in self.ids), None)
            if lacking is not None:
                where = (
                    f"at place {text.index(lacking)} of the prompt; expected any of its "
                    f"{len(self.ids)} tokens"
                )
                raise BundleError(f"the tokenizer has no {lacking!r}, {where}; leave it out")
            return [self.ids[c] for c in text]
        if self.kind == "byte":
            characters = byte_characters()
            return [self.ids[characters[byte]] for byte in data]
        return self._library_ids(text) if text else []

    def differing(self, entry: dict[str, Any]) -> int | None:
        """Return how many ids of the recorded text are not the recorded ones; None where the
        library is not installed.
        """
        if self.kind == "char":
            found = [self.ids[c] for c in entry["text"] if c in self.ids]
        elif self.kind == "byte":
            found = self.encode(entry["text"])
        else:
            try:
                found = self._library_ids(entry["text"])
            except MissingLibraryError:
                return None
        found = [token_id for token_id in found if token_id != self._unknown]
        pairs = zip(found, entry["ids"], strict=False)
        return sum(a != b for a, b in pairs) + abs(len(found) - len(entry["ids"]))

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids; bytes that are no UTF-8 become U+FFFD."""
        stream = TextStream(self)
        return "".join(map(stream.push, ids)) + stream.flush()

    def bytes_of(self, token_id: int) -> bytes:
        """Return the UTF-8 of one token, perhaps a part of a character."""
        token = self.tokens[token_id]
        if self.kind in BYTE_KINDS and all(character in self._byte_of for character in token):
            return bytes(self._byte_of[character] for character in token)
        return token.encode(errors="replace")

    def _library_ids(self, text: str) -> list[int]:
        try:
            import tokenizers
        except ImportError as error:
            raise MissingLibraryError(
                f"a prompt of tokens of kind {self.kind} takes the tokenizers library, which "
                "is not installed; "
                "run: pip install tokenizers, or leave --prompt out"
            ) from error
        try:
            library = tokenizers.Tokenizer.from_str(self._text)
            library.no_truncation()
            library.no_padding()
            return list(library.encode(text, add_special_tokens=False).ids)
        except Exception as error:  # the library raises Exception itself
            raise self._damaged(first_line(error)) from error

    def _damaged(self, said: str) -> BundleError:
        return BundleError(
            f"{self.path} is damaged or of another model ({said}); copy or export the bundle again"
        )


class MissingLibraryError(BundleError):
    """The tokenizers library is not installed, and it is needed."""


class TextStream:
    """Text while ids still come: each push gives what is complete by then, so no character is
    ever split.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._between = b""

    def push(self, token_id: int) -> str:
        """Take the next id; return the text that it completes, perhaps none."""
        token = self._tokenizer.bytes_of(token_id)
        apart = self._tokenizer.kind in SPACED_KINDS and token != b"\n"
        text = self._utf8.decode((self._between if apart else b"") + token)
        self._between = b" " if apart else b""
        return text

    def flush(self) -> str:
        """End the text; return what was held back."""
        return self._utf8.decode(b"", final=True)


def byte_characters() -> list[str]:
    """Return the character that stands for each of the 256 bytes: itself where it is printable,
    else 256 and up.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte if byte in printable else 256 + others.index(byte)) for byte in range(256)]
