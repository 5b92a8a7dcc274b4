"""What a user says of a network's inputs on the command line: axes as text, a file of examples,
constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.errors import UsageError
from edgernn.hoisting.inputs import inputs_from_text
from edgernn.storage.recordings import SUFFIXES, read_arrays

_WORDS = {"true": True, "false": False, "none": None}


def read_examples(texts: Iterable[str], names: Sequence[str]) -> dict[str, Any]:
    """Return an example as ``hoist`` takes it.

    Args:
        texts: each ``"x: float32[batch, time, 40]"``, several in one or one each; or a file of
            arrays (npz, npy, safetensors, csv), whose axes are guessed, see ``read_inputs``, where
            no text says them. What a file holds in float64 is taken as float32, but where a text
            says otherwise.
        names: of the method's arguments, in order; an npy file holds the first.

    Raises:
        UsageError: a text has not this form, or there is none.
        DataError: a file cannot be read.
    """
    said: dict[str, str] = {}
    arrays: dict[str, np.ndarray] = {}
    for text in texts:
        if text.lower().endswith(SUFFIXES):
            arrays |= read_arrays(Path(text), names[:1])
        else:
            said |= inputs_from_text(text)
    given = {name: _as_said(array, said.get(name)) for name, array in arrays.items()}
    if not (given or said):
        raise UsageError(
            f'say what goes in with --inputs, as --inputs "{names[0] if names else "x"}: '
            f'float32[batch, time, 40]", or give a file of examples; the arguments are '
            f"{', '.join(names)}"
        )
    order = sorted(
        given | said, key=lambda name: names.index(name) if name in names else len(names)
    )
    return {name: given.get(name, said.get(name)) for name in order}


def _as_said(array: np.ndarray, text: str | None) -> Any:
    if text is None:
        return array.astype(np.float32) if array.dtype == np.float64 else array
    dtype = text.partition("[")[0].strip()
    return (array.astype(dtype) if dtype in np.sctypeDict else array, text)


def read_value(text: str) -> Any:
    """Return a constant as it was typed: ``16000`` a whole number, ``0.5`` a number, ``true``,
    ``false``, ``none``, else a text.
    """
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
