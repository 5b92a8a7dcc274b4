"""Pickles, read by a small machine of our own over their opcodes, of protocols 0 to 5.

What pickle would import and call is looked up in an exact list of names (``safe_names``), whose
functions make plain values and arrays; of everything else an inert ``Stub`` is made, which holds
what would have been done. The opcodes are those that Python's ``pickletools`` documents.

All is bounded: the opcodes, the memo, the open marks, the containers made, and every length by the
bytes that are there. Keys of dicts and members of sets are plain, so that hashing them is cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgernn.containers.pickle_calls import TABLE
from edgernn.containers.stack import Stack, Stopped

_MOST_OPCODES = 10_000_000
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    UnicodeError,
    ValueError,
)

Persistent = Callable[[Any], Any]
Files = Callable[[bytes], Any]


def load(
    raw: memoryview,
    *,
    start: int = 0,
    persistent: Persistent | None = None,
    files: Files | None = None,
) -> Any:
    """Return what the pickle at ``start`` holds.

    Args:
        raw: the bytes that it lies in.
        start: where it begins.
        persistent: makes a value of a persistent id; without it none may occur.
        files: makes a value of a file of torch that lies in it; without it none may.

    Raises:
        ValueError: it is damaged, or larger than a checkpoint's can be; says where and why.
    """
    return load_next(raw, start=start, persistent=persistent, files=files)[0]


def load_next(
    raw: memoryview,
    *,
    start: int = 0,
    persistent: Persistent | None = None,
    files: Files | None = None,
) -> tuple[Any, int]:
    """Return what the pickle at ``start`` holds, and where it ends; otherwise as ``load``."""
    stack = Stack(raw, start, persistent or _no_ids, files=files)
    try:
        for _ in range(_MOST_OPCODES):
            act = TABLE[raw[stack.place]]
            stack.place += 1
            act(stack)
    except Stopped as stopped:
        return stopped.value, stack.place
    except _DAMAGED as error:
        why = _words(error)
        raise ValueError(
            f"the pickle in it cannot be read at byte {stack.place:,} ({why})"
        ) from error
    raise ValueError(f"the pickle in it has more than {_MOST_OPCODES:,} opcodes")


def _words(error: Exception) -> str:
    if isinstance(error, IndexError):
        return "it ends too early, or takes what was not put"
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} was not put before"
    return str(error)


def _no_ids(found: Any) -> Any:
    raise ValueError("it points to data outside of it, which only a file of torch.save has")
