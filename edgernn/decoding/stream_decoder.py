"""Text for a terminal while ids still arrive: each push gives the text that is complete by then.

A character may span several byte or byte-pair tokens; its bytes are held until they are all there.
What is pushed and flushed, joined, is ``Tokenizer.decode`` of all ids, and each push costs the same
however long the text is.
"""

from __future__ import annotations

import codecs
from typing import Protocol

from edgernn.data.text.token_kinds import byte_characters
from edgernn.data.text.tokenizer import Tokenizer

_BYTE_OF_CHARACTER = {character: byte for byte, character in enumerate(byte_characters())}
_REPLACEMENT = "\ufffd"
_LONGEST_CHARACTER = 4  # bytes of UTF-8, so the most tokens that one character spans


class StreamDecoder:
    """Decode ids one at a time. A decoder serves one text; make a new one for the next."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Start a text of ``tokenizer``."""
        by_token = tokenizer.decoder in ("ByteLevel", "Fuse")
        self._decoder: _Decoder = (
            _TokenDecoder(tokenizer) if by_token else _WindowDecoder(tokenizer)
        )

    def push(self, token_id: int) -> str:
        """Take the next id and return the text that it completes, perhaps none.

        Raises:
            DataError: the id is outside the vocabulary.
        """
        return self._decoder.push(token_id)

    def flush(self) -> str:
        """End the text and return what was held back, with U+FFFD for a character that stayed
        incomplete.
        """
        return self._decoder.flush()


class _Decoder(Protocol):
    def push(self, token_id: int) -> str: ...

    def flush(self) -> str: ...


class _TokenDecoder:
    """For pipelines whose text is the tokens' own bytes, joined: every kind of text that edgernn
    builds.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._byte_level = tokenizer.decoder == "ByteLevel"
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        token = self._tokenizer.token(token_id)
        if self._byte_level and all(character in _BYTE_OF_CHARACTER for character in token):
            return self._utf8.decode(bytes(_BYTE_OF_CHARACTER[character] for character in token))
        return self._utf8.decode(token.encode())

    def flush(self) -> str:
        return self._utf8.decode(b"", final=True)


class _WindowDecoder:
    """For foreign pipelines: decodes the last ids with and without the new one, and returns the
    difference.

    The ids before the window only decide how its first token is spaced, so the ids of one push are
    enough to keep.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []  # those already shown, for context, then those held back
        self._shown_ids = 0
        self._shown_text = ""

    def push(self, token_id: int) -> str:
        self._ids.append(token_id)
        text = self._tokenizer.decode(self._ids)
        if text.endswith(_REPLACEMENT) and len(self._ids) - self._shown_ids < _LONGEST_CHARACTER:
            return ""
        return self._show(text)

    def flush(self) -> str:
        return self._show(self._tokenizer.decode(self._ids))

    def _show(self, text: str) -> str:
        fresh = text[len(self._shown_text) :]
        self._ids = self._ids[self._shown_ids :]
        self._shown_ids = len(self._ids)
        self._shown_text = self._tokenizer.decode(self._ids)
        return fresh
