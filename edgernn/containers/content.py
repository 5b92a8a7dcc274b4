"""What a container holds, whichever it is: a tree of plain values, arrays and stubs.

The leaves are None, bool, int, float, complex, str, bytes, sets of these and numpy arrays; the
branches dict, list, tuple and ``Stub``. Arrays are read-only views of the file's bytes where its
layout allows; two names of one tensor are views of the same memory. Types that numpy lacks are
widened: bfloat16 is float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(eq=False, slots=True, repr=False)
class Stub:
    """An object of a class that was not loaded, and what would have been done to it.

    Attributes:
        name: of its class or of the function that would have made it, as ``model.RNNModel``.
        arguments: what that would have been called with.
        state: what the object would have been given as its state; of most objects a dict of its
            attributes.
        items: what would have been appended to it.
        entries: what would have been put into it by key.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: list[tuple[Any, Any]] = field(default_factory=list)

    def __repr__(self) -> str:
        """Say its name alone: what it holds may be deep, and may hold itself."""
        return f"{type(self).__name__}({self.name!r})"

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Its attributes by name; empty where its state is none."""
        state = self.state
        if isinstance(state, tuple) and state:  # (attributes, slots)
            state = state[0]
        return state if isinstance(state, dict) else {}


class Name(Stub):
    """A class or a function itself, not an object of it; ``name`` says which."""

    __slots__ = ()


@dataclass(frozen=True, eq=False)
class Content:
    """A container that was read.

    Attributes:
        path: of the file.
        container: its kind in words, as ``torch zip``.
        tree: what it holds.
        metadata: texts that stand beside the tree, by name.
        told: what a user should know of how it was read, a sentence each.
    """

    path: Path
    container: str
    tree: Any
    metadata: Mapping[str, str] = field(default_factory=dict)
    told: tuple[str, ...] = ()
