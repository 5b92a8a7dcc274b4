"""Where a long text may be cut so that encoding the pieces equals encoding the whole.

Bulk encoding must not hold a corpus in memory, yet a cut inside a word would change the tokens
around it. The word pattern of ``token_kinds`` never joins a newline to anything, nor a space to the
text before it; so both are safe cuts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_PIECE_LENGTH = 1 << 16
_LONGEST_PIECE = 1 << 20
_BEFORE_LAST_SPACE = re.compile(r".*\S(?= )", re.DOTALL)


def cut_pieces(
    chunks: Iterable[str], *, length: int = _PIECE_LENGTH, longest: int = _LONGEST_PIECE
) -> Iterator[str]:
    """Yield the same text in pieces that end where no word or byte-pair token can straddle.

    Args:
        chunks: text cut anywhere.
        length: characters that a piece aims at; a longer text is cut after the last newline within
            them, or the next.
        longest: characters after which a text without a newline is cut before a space, and without
            one, anywhere.

    Returns:
        non-empty pieces, none longer than a few times ``longest``, whose concatenation is that of
        ``chunks``.
    """
    for text in _gather(chunks, longest):
        start = 0
        while len(text) - start > length:
            end = (
                text.rfind("\n", start, start + length) + 1
                or text.find("\n", start + length) + 1
                or len(text)
            )
            yield text[start:end]
            start = end
        if start < len(text):
            yield text[start:]


def _gather(chunks: Iterable[str], longest: int) -> Iterator[str]:
    """Join or split chunks into texts of ``longest`` characters and somewhat more that end at a
    safe cut.
    """
    held: list[str] = []
    held_length = 0
    for part in _split_long(chunks, longest):
        held.append(part)
        held_length += len(part)
        if held_length >= longest:
            text = "".join(held)
            cut = _last_cut(text)
            yield text[:cut]
            held, held_length = [text[cut:]], len(text) - cut
    if held_length:
        yield "".join(held)


def _split_long(chunks: Iterable[str], longest: int) -> Iterator[str]:
    for chunk in chunks:
        for start in range(0, len(chunk), longest):
            yield chunk[start : start + longest]


def _last_cut(text: str) -> int:
    after_newline = text.rfind("\n") + 1
    if after_newline:
        return after_newline
    before_space = _BEFORE_LAST_SPACE.match(text)
    return before_space.end() if before_space else len(text)
