"""What the tokenizers library says of a ``tokenizer.json``: its errors in one line, its unknown
token, and how wide its ids are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgernn.errors import DataError


@contextmanager
def library_errors(what: str, remedy: str) -> Iterator[None]:
    """Turn an error of the tokenizers library into a DataError of one line."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:  # the library raises Exception itself, nothing narrower
            raise
        raise DataError(f"{what}: {' '.join(str(error).split())}; {remedy}") from error


def unknown_id(model: dict[str, Any], vocabulary: dict[str, int]) -> int | None:
    """Return the id of the token for what the vocabulary lacks, or None where it has none."""
    if model.get("unk_id") is not None:  # Unigram names its token by id, the other models by text
        return int(model["unk_id"])
    return vocabulary.get(model.get("unk_token") or "")


def smallest_dtype(vocabulary_size: int) -> np.dtype[Any]:
    """Return the smallest of uint8, uint16 and uint32 (little-endian) that holds every id."""
    fitting = (name for name in ("<u1", "<u2") if vocabulary_size <= np.iinfo(name).max + 1)
    return np.dtype(next(fitting, "<u4"))
