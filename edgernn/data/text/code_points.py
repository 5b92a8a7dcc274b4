"""Text as code points: what UTF-8 cannot hold is refused, and the ids of single characters stand in
a numpy table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgernn.errors import DataError


def code_points(text: str) -> npt.NDArray[Any]:
    """Return the code point of each character, uint32 (little-endian) ``[characters]``."""
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


def encodable(text: str, *, skip: bool) -> str:
    """Return ``text`` if UTF-8 can hold it, and without lone surrogates where it may ``skip`` them.

    Raises:
        DataError: it holds a lone surrogate, or is no text.
    """
    if not isinstance(text, str):
        raise DataError(f"the text is {type(text).__name__}, expected str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        if skip:
            return text.encode(errors="ignore").decode()
        raise DataError(
            f"the text holds {text[error.start]!r}, which stands for a byte that is not UTF-8; "
            "give UTF-8 text or use --on-unknown skip"
        ) from error
    return text


def character_table(vocabulary: dict[str, int]) -> npt.NDArray[np.int32]:
    """Return the id of each code point, int32 ``[highest known + 2]``; -1, and always the last, for
    the unknown.
    """
    table = np.full(max(map(ord, vocabulary)) + 2, -1, dtype=np.int32)
    for character, index in vocabulary.items():
        table[ord(character)] = index
    return table


def look_up(table: npt.NDArray[np.int32], codes: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Return the ids of code points ``[characters]`` by a ``character_table``; -1 is unknown."""
    ids: npt.NDArray[np.int32] = table[np.minimum(codes, len(table) - 1)]  # [characters]
    return ids
