"""Numbers as C: lists of ids and characters, and a first state, to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np

from edgernn.contract import Contract
from edgernn.export.to_c.loops import c_name
from edgernn.sessions.base import Arrays

_COLUMNS = 104


def numbers(name: str, values: Sequence[int], kind: str, count: str = "") -> str:
    """Return a constant list of whole numbers, and its length as the constant ``count`` where that
    is named. C has no empty lists: one of no numbers holds a zero.
    """
    body = _wrapped([str(value) for value in values] or ["0"])
    length = f"enum {{ {count} = {len(values)} }};\n" if count else ""
    return f"{length}static const {kind} {name}[] = {{{body}}};\n"


def first_state(contract: Contract, stored: Arrays) -> str:
    """Return the first state as a constant: what is ``stored``, one row each; zeros else."""
    members = [
        f".{c_name(state.name)} = {{{_values(stored.get(state.name))}}}"
        for state in contract.step.states
    ]
    return f"static const net_state first = {{{', '.join(members)}}};\n"


def _values(array: np.ndarray | None) -> str:
    if array is None or not array.any():
        return "0"
    flat = array.ravel()
    if flat.dtype.kind == "f":
        return _wrapped([f"{float(value).hex()}f" for value in flat])
    return _wrapped([str(int(value)) for value in flat])


def _wrapped(words: list[str]) -> str:
    """Return the words with commas, on lines of their own where they are many."""
    text = ", ".join(words)
    if len(text) < _COLUMNS - 40:
        return text
    return "\n" + "\n".join(f"    {line}" for line in wrap(text, _COLUMNS)) + "\n"
