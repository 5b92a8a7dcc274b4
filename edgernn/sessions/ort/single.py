"""Steps of one row in onnxruntime, over memory that stays bound to the graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from sys import getrefcount
from threading import Lock
from typing import Any, TypeGuard

import numpy as np
import onnxruntime

from edgernn.contract import BATCH, TIME, FileContract, TensorSpec, next_name
from edgernn.contract.interface import interface_problems
from edgernn.sessions.base import Arrays, State
from edgernn.sessions.ort.runtime import interface_of, step_failure

_SETS = 4  # of output memory: two take turns, the others stand in for those that a caller keeps
_Results = tuple[dict[str, np.ndarray], State]


class SingleStep:
    """Steps of one row and one id over sets of memory that take turns, each bound to read the state
    that the last one holds.

    The caller is given the arrays that onnxruntime filled. A set is filled again only when nobody
    else holds an array or a view of it, which the reference counts tell: a stream goes on without a
    copy or a binding, and whoever keeps a state, to fork or to search, keeps it. What is no right
    call, or finds every set kept, is left to ``Session.step``: it runs the call or says what is
    wrong with it.

    Measured beside a bare run of the graph, the checks of the call included: this takes 3 µs where
    the weights stay in the cache (H = 64) and 25 where every step empties it (H = 512), of which 14
    are a Python call without any check; ``run``, which looks at every name and makes every array
    anew, takes 13 and 60, and binding new memory at every step still more.
    """

    def __init__(self, runtime: onnxruntime.InferenceSession, file_contract: FileContract) -> None:
        spec, sizes = file_contract.spec, file_contract.contract.sizes
        self._runtime = runtime
        # of two threads that share a session the second one goes by Session.step
        self._lock = Lock()
        # name, the memory that is bound, how many ids there are
        self._ids = tuple(
            (t.name, _empty(t, file_contract), sizes[t.below])
            for t in spec.fresh_inputs
            if t.below is not None
        )
        bound = {name: memory for name, memory, _ in self._ids}
        self._make = partial(_Memory, runtime, file_contract, bound)
        self._sets = [self._make() for _ in range(_SETS)]

    def step(self, inputs: Arrays, state: Arrays) -> _Results | None:
        """Advance by one step; return None where the call is for ``Session.step``."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            source, memory = self._source(state), self._free()
            if source is None or memory is None or not self._takes(inputs):
                return None
            results = dict(memory.outputs), dict(memory.states)  # from here on the memory is held
            memory.read(source)
            _run_bound(self._runtime, memory.binding)
            return results
        finally:
            self._lock.release()

    def _source(self, state: Arrays) -> Arrays | None:
        """Return the arrays that hold ``state``, or None where it is not laid out as a state of one
        row.
        """
        for memory in self._sets:
            if _are_the_same(state, memory.states):
                return memory.states
        own = self._sets[0].states
        if state.keys() != own.keys() or not all(
            _is_like(state[name], array) for name, array in own.items()
        ):
            return None
        return dict(state) if all(array.flags.c_contiguous for array in state.values()) else None

    def _free(self) -> _Memory | None:
        for memory in self._sets:
            if memory.is_free():
                return memory
        self._sets = [self._make() if memory.is_spoilt() else memory for memory in self._sets]
        return None

    def _takes(self, inputs: Arrays) -> bool:
        """Write the ids to the memory that is bound, which takes a third of the time of binding
        theirs.
        """
        for name, memory, size in self._ids:
            array = inputs.get(name)
            if not _is_like(array, memory) or not 0 <= array.item() < size:
                return False
            memory.fill(array.item())
        return len(inputs) == len(self._ids)


class _Memory:
    """Memory for every output of a step of one row, and the binding through which onnxruntime fills
    it.

    Memory is bound by its address: onnxruntime then holds no reference, so the counts tell what
    others hold.
    """

    def __init__(
        self,
        runtime: onnxruntime.InferenceSession,
        file_contract: FileContract,
        inputs: dict[str, np.ndarray],
    ) -> None:
        spec = file_contract.spec
        made = {t.name: _empty(t, file_contract) for t in spec.outputs}
        self.outputs = {t.name: made[t.name] for t in spec.read_outputs}
        self.states = {s.name: made[next_name(s.name)] for s in spec.states}
        self.binding = runtime.io_binding()
        self._source: Arrays = {}  # what the binding reads, kept alive
        _bind(self.binding.bind_input, inputs)
        _bind(self.binding.bind_output, made)
        made.clear()  # what is counted now are the references of this object alone
        self._arrays = tuple(
            (array, array.shape) for array in (*self.outputs.values(), *self.states.values())
        )
        self._references = max([getrefcount(array) for array, _ in self._arrays])

    def is_free(self) -> bool:
        """Return whether nobody else holds an array of this, and all are as they were made."""
        for array, _ in self._arrays:
            if getrefcount(array) > self._references:
                return False
        return not self.is_spoilt()

    def is_spoilt(self) -> bool:
        """Return whether a caller has made an array read-only or given it another shape."""
        return any(
            array.shape != shape or not array.flags.writeable for array, shape in self._arrays
        )

    def read(self, source: Arrays) -> None:
        """Bind the states to the arrays of ``source``, unless they are."""
        if source is not self._source:
            _bind(self.binding.bind_input, source)
            self._source = source


def _bind(how: Callable[..., None], arrays: Arrays) -> None:
    for name, array in arrays.items():
        how(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)


def _are_the_same(given: Arrays, own: Arrays) -> bool:
    for name, array in own.items():
        if given.get(name) is not array:
            return False
    return len(given) == len(own)


def _is_like(array: Any, own: np.ndarray) -> TypeGuard[np.ndarray]:
    return isinstance(array, np.ndarray) and array.dtype is own.dtype and array.shape == own.shape


def has_single_steps(runtime: onnxruntime.InferenceSession, file_contract: FileContract) -> bool:
    """Return whether the file takes one row and one id, in the contract's dtypes, and is what its
    contract says.

    A graph with contexts is left out: its step takes far longer than what would be saved.
    """
    spec, sizes = file_contract.spec, file_contract.contract.sizes
    tensors = (*spec.inputs, *spec.outputs)
    return (
        not spec.once
        and not spec.contexts
        and all(file_contract.axis_size(axis) in {None, 1} for axis in (BATCH, TIME))
        and all(axis in {BATCH, TIME, *sizes} for tensor in tensors for axis in tensor.axes)
        and all(file_contract.dtype(tensor) == tensor.dtype for tensor in tensors)
        and all(
            tensor.below and math.prod(_shape(tensor, file_contract)) == 1
            for tensor in spec.fresh_inputs
        )
        and not interface_problems(file_contract.interface(), interface_of(runtime))
    )


def _shape(tensor: TensorSpec, file_contract: FileContract) -> tuple[int, ...]:
    return tuple(file_contract.axis_size(axis) or 1 for axis in tensor.axes)


def _empty(tensor: TensorSpec, file_contract: FileContract) -> np.ndarray:
    return np.empty(_shape(tensor, file_contract), tensor.dtype)


def _run_bound(runtime: onnxruntime.InferenceSession, binding: onnxruntime.IOBinding) -> None:
    try:
        runtime.run_with_iobinding(binding)
    except Exception as error:  # onnxruntime's errors share no narrower base class
        raise step_failure(error) from error
