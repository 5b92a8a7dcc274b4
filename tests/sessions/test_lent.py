"""Inputs of a compiled step: what a call reads is what was given last, wherever that lies."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from edgernn.sessions.lent import Lent

SHAPES = {"tokens": (1, 1), "seen": (3, 200)}


class Call:
    """Memory, and what a call would read of it."""

    def __init__(self) -> None:
        self.memory = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
        self.pointers = (ctypes.c_void_p * 2)(*(a.ctypes.data for a in self.memory.values()))
        self.inputs = Lent(self.memory, self.pointers)

    def reads(self) -> dict[str, np.ndarray]:
        found = {}
        for pointer, (name, shape) in zip(self.pointers, SHAPES.items(), strict=True):
            kind = ctypes.c_float * int(np.prod(shape))
            found[name] = np.array(kind.from_address(pointer)).reshape(shape)
        return found


def drawn(seed: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {name: draw.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def test_a_call_reads_what_was_given_last() -> None:
    call, first, second = Call(), drawn(1), drawn(2)
    for given in (first, first, second, first):
        assert call.inputs.take(given)
        for name, array in call.reads().items():
            assert np.array_equal(array, given[name])
    first["seen"][1, 7] = 5  # the same array, changed in between
    assert call.inputs.take(first)
    assert call.reads()["seen"][1, 7] == 5
    assert not call.memory["seen"].any(), "it is read where it lies"


@pytest.mark.parametrize("part", [np.s_[:, ::2], np.s_[::-1, :200]])
def test_what_lies_otherwise_is_copied(part: tuple[slice, slice]) -> None:
    call, given = Call(), drawn(3)
    assert call.inputs.take(given)
    given["seen"] = np.random.default_rng(4).normal(size=(3, 400)).astype(np.float32)[part]
    assert call.inputs.take(given)
    assert np.array_equal(call.reads()["seen"], given["seen"])


def test_its_own_memory_is_read_again() -> None:
    call = Call()
    assert call.inputs.take(drawn(5))
    call.inputs.give_back()
    call.memory["seen"][...] = 2
    assert (call.reads()["seen"] == 2).all()


@pytest.mark.parametrize(
    "wrong", [{"seen": np.zeros((3, 200))}, {"seen": np.zeros((2, 200), np.float32)}, {"x": None}]
)
def test_what_is_not_wanted_is_not_taken(wrong: dict[str, np.ndarray]) -> None:
    assert not Call().inputs.take({**drawn(6), **wrong})
