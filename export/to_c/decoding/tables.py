"""Numbers as C: lists of ids and characters, and a first state, to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np

from edgernn.contract import Contract
from edgernn.export.to_c.decoding.tensors import size
from edgernn.export.to_c.loops import c_name
from edgernn.export.to_c.plan import C_TYPES
from edgernn.sessions.base import Arrays

_COLUMNS = 104
_BLANK, _DELETE = 0x20, 0x7F
NEVER = (
    "static const union { uint32_t bits; float number; } never = {0xff800000u}; "
    "/* minus infinity */\n"
)


def numbers(name: str, values: Sequence[int], kind: str, count: str = "") -> str:
    """Return a constant list of whole numbers, and its length as the constant ``count`` where that
    is named. C has no empty lists: one of no numbers holds a zero.
    """
    body = _wrapped([str(value) for value in values] or ["0"])
    length = f"enum {{ {count} = {len(values)} }};\n" if count else ""
    return f"{length}static const {kind} {name}[] = {{{body}}};\n"


def first_state(contract: Contract, stored: Arrays) -> str:
    """Return the function that writes the first state: what is ``stored``, one row each; zeros
    else. It writes element by element, to volatile memory, so that no compiler calls memset.
    """
    tables, loops = [], []
    for state in contract.step.states:
        array, value = stored.get(state.name), "0"
        kind, name = C_TYPES[state.dtype], c_name(state.name)
        if array is not None and array.any():
            value = f"first_{state.name}[i]"
            tables.append(f"static const {kind} first_{state.name}[] = {{{_values(array)}}};\n")
        place = f"((volatile {kind} *)state->{name})[i]"
        count = size(contract, state)
        loops.append(f"    for (int32_t i = 0; i < {count}; ++i) {{ {place} = {value}; }}\n")
    return "".join([*tables, "\nstatic void begin(net_state *state)\n{\n", *loops, "}\n"])


def quoted(text: str) -> str:
    """Return ``text`` as a string of C in UTF-8: what is no plain letter in octal digits."""
    plain = (chr(byte) if _is_plain(byte) else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'


def _is_plain(byte: int) -> bool:
    return _BLANK <= byte < _DELETE and chr(byte) not in '"\\?'


def _values(array: np.ndarray) -> str:
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
