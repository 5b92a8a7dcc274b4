"""What a method of ExecuTorch is given: tensors over memory of the session's own, into which small
inputs are copied; large ones, as the contexts of a captioner, are read where the caller has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.contract import FileContract, TensorSpec
from edgernn.contract.interface import FileTensor

_SMALL_BYTES = 4096  # of which a copy takes less than a tensor over the caller's memory
# name, place among the inputs, memory, its dtype and shape, how many ids there are
_Place = tuple[str, int, np.ndarray, np.dtype, tuple[int, ...], int | None]


class GivenTensors:
    """The inputs of one method, in its order.

    Args:
        file_contract: what the file promises; every size is fixed.
        tensor_over: makes a tensor over the memory of an array, without a copy.
    """

    def __init__(
        self, file_contract: FileContract, tensor_over: Callable[[np.ndarray], Any]
    ) -> None:
        spec, interface = file_contract.spec, file_contract.interface()
        self._tensor_over = tensor_over
        memories = [_zeros(tensor) for tensor in interface.inputs]
        self._own = [tensor_over(memory) for memory in memories]
        pairs = enumerate(zip(spec.inputs, memories, strict=True))
        self._places = [
            _place(each, place, memory, file_contract) for place, (each, memory) in pairs
        ]
        states = {state.name for state in spec.states}
        self._callers = [place for place in self._places if place[0] not in states]
        self._states = [place for place in self._places if place[0] in states]

    def of_feeds(self, feeds: dict[str, np.ndarray]) -> list[Any]:
        """Return the tensors of ``feeds``, every input by name in the file's dtype."""
        given = list(self._own)
        for name, place, memory, *_ in self._places:
            self._put(given, place, memory, feeds[name])
        return given

    def of_call(self, inputs: Any, state: Any) -> list[Any] | None:
        """Return the tensors of a call, or None where it is not one whose every tensor is of the
        contract's dtype and the file's sizes, with ids that there are: what is wrong is for others
        to say.
        """
        given = list(self._own)
        for found, places in ((inputs, self._callers), (state, self._states)):
            if type(found) is not dict or len(found) != len(places):
                return None
            for name, place, memory, dtype, shape, below in places:
                array = found.get(name)
                if (
                    type(array) is not np.ndarray
                    or array.dtype is not dtype
                    or array.shape != shape
                ):
                    return None
                if below is not None and not _are_ids(array, below):
                    return None
                self._put(given, place, memory, array)
        return given

    def _put(self, given: list[Any], place: int, memory: np.ndarray, array: np.ndarray) -> None:
        flags = array.flags
        if memory.nbytes > _SMALL_BYTES and flags.writeable and flags.c_contiguous:
            given[place] = self._tensor_over(array)
        else:
            memory[...] = array


def _place(spec: TensorSpec, place: int, memory: np.ndarray, own: FileContract) -> _Place:
    below = None if spec.below is None else own.contract.sizes[spec.below]
    return spec.name, place, memory, np.dtype(spec.dtype), memory.shape, below


def _zeros(tensor: FileTensor) -> np.ndarray:
    sizes = [axis if isinstance(axis, int) else 1 for axis in tensor.shape or ()]
    return np.zeros(sizes, tensor.dtype)


def _are_ids(array: np.ndarray, below: int) -> bool:
    if array.size == 1:
        return bool(0 <= array.item() < below)
    return bool(array.min() >= 0 and array.max() < below)
