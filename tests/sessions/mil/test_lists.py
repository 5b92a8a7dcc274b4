"""Lists of tensors are values: what is written to one leaves the others as they were."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.sessions.mil.lists import LISTS, list_scatter, list_write, make_list


def made(length: int = 2) -> list[np.ndarray]:
    return make_list(np.array(length), np.array(True), [np.array(3)], "fp16")  # type: ignore[return-value]


def test_a_new_list_holds_zeros_of_its_dtype() -> None:
    assert [(element.tolist(), element.dtype) for element in made()] == [
        ([0, 0, 0], np.float16)
    ] * 2


def test_nothing_is_read_from_elements_of_open_shape() -> None:
    empty = make_list(np.array(1), np.array(True), ["s0", np.array(3)], "fp32")
    assert empty == [None]
    with pytest.raises(TypeError):
        LISTS["list_read"](empty, np.array(0)) + 1


def test_a_write_makes_a_list_longer_and_another() -> None:
    first = made()
    second = list_write(first, np.array([3]), np.ones(3))
    assert [element.tolist() for element in second] == [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 1]]
    third = list_write(second, np.array(0), np.full(3, 7))
    assert (second[0] == 0).all()
    assert (third[0] == 7).all()
    assert [LISTS["list_length"](each) for each in (first, second, third)] == [2, 4, 4]


def test_scatter_and_gather() -> None:
    rows = np.arange(6).reshape(2, 3)
    scattered = list_scatter(made(), np.array([1, 0]), rows)
    assert (LISTS["list_gather"](scattered, np.array([0, 1, 0])) == rows[[1, 0, 1]]).all()
    assert (LISTS["list_read"](scattered, np.array(1)) == rows[0]).all()
