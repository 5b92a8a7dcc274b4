"""The messages of a connection, read and written.

A binary message is a safetensors file: arrays by the names of the contract, each of one row. Its
metadata says what is done with them: ``{"do": "step"}``, which is meant where it says nothing,
``begin`` with the inputs of encode, ``restore`` with a state. A text message is JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from edgernn.errors import DataError, one_line

ARRAYS = ("step", "begin", "restore")
COMMANDS = ("reset", "state", "write")


@dataclass(frozen=True)
class Message:
    """What a client asks for.

    Attributes:
        do: one of ``ARRAYS`` or ``COMMANDS``.
        arrays: by name.
        options: the other entries of the JSON object.
    """

    do: str
    arrays: dict[str, np.ndarray]
    options: dict[str, Any]


def read(binary: bytes | None, text: str | None) -> Message:
    """Return a message.

    Raises:
        DataError: it is none.
    """
    if binary is not None:
        try:
            arrays = load(binary)
            size = int.from_bytes(binary[:8], "little")
            metadata = json.loads(binary[8 : 8 + size]).get("__metadata__") or {}
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"the message is no safetensors file ({one_line(str(error))})"
            ) from error
        return Message(_known(metadata.get("do", "step"), ARRAYS), arrays, {})
    try:
        document = json.loads(text or "")
    except (ValueError, RecursionError) as error:
        raise DataError(f"the message is no JSON ({one_line(str(error))})") from error
    if not isinstance(document, dict):
        raise DataError(f"the message is a JSON {type(document).__name__}, expected an object")
    return Message(_known(document.pop("do", None), COMMANDS), {}, document)


def arrays(tensors: dict[str, np.ndarray]) -> bytes:
    """Return tensors as the bytes of a binary message."""
    return save({name: np.ascontiguousarray(array) for name, array in tensors.items()})


def _known(word: object, words: tuple[str, ...]) -> str:
    if word not in words:
        raise DataError(f"do is {word!r:.40}, expected one of {', '.join(words)}")
    return str(word)


def number(options: dict[str, Any], name: str, default: float, *, most: float) -> float:
    """Take a number from 0 to ``most`` out of ``options``, a whole one where ``most`` is.

    Raises:
        DataError: it is anything else.
    """
    value = options.pop(name, default)
    kinds = int if isinstance(most, int) else int | float
    if not isinstance(value, kinds) or isinstance(value, bool) or not 0 <= value <= most:
        kind = "a whole number" if isinstance(most, int) else "a number"
        raise DataError(f"{name} is {value!r:.40}, expected {kind} from 0 to {most:g}")
    return value
