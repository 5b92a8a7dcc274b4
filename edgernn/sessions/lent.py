"""The inputs of a compiled step: small ones are copied to where they are read; large ones, as the
contexts of a captioner, are read where the caller has them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import numpy as np

from edgernn.sessions.base import Arrays

Place = tuple[str, np.ndarray, np.dtype, tuple[int, ...]]  # name, memory, dtype, shape
_SMALL_BYTES = 1024  # of which a copy takes less than to find where an array lies


class Lent:
    """Memory of inputs, and the pointers to them that a call is given.

    Args:
        given: the memory by name.
        pointers: where each lies, in order; changed while an array of the caller's is read.
    """

    def __init__(self, given: Mapping[str, np.ndarray], pointers: ctypes.Array) -> None:
        self._places = [(name, own, own.dtype, own.shape) for name, own in given.items()]
        self._pointers, self._own = pointers, list(pointers)
        self._lent: list[np.ndarray | None] = [None] * len(given)  # held as long as it is read
        self._large = [own.nbytes > _SMALL_BYTES for own in given.values()]

    def take(self, given: Arrays) -> bool:
        """Let the next call read what is given; return whether it is all that is wanted, and laid
        out like it.
        """
        for at, (name, own, dtype, shape) in enumerate(self._places):
            array = given.get(name)
            if type(array) is not np.ndarray or array.dtype is not dtype or array.shape != shape:
                return False
            if not self._large[at]:
                own[...] = array
            elif array is not self._lent[at]:
                self._lend(at, array, own)
        return len(given) == len(self._places)

    def give_back(self) -> None:
        """Let the next call read the memory itself."""
        for at, own in enumerate(self._own):
            self._pointers[at], self._lent[at] = own, None

    def _lend(self, at: int, array: np.ndarray, own: np.ndarray) -> None:
        if array.flags.c_contiguous and array.flags.aligned:
            self._pointers[at], self._lent[at] = array.ctypes.data, array
        else:
            own[...] = array
            self._pointers[at], self._lent[at] = self._own[at], None
