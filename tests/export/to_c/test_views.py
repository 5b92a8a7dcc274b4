"""Views are what numpy's are, for any shape and any way of looking at it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.export.to_c.builder import Builder
from edgernn.export.to_c.views import View, collapsed

Drawn = tuple[View, np.ndarray]


@st.composite
def views(draw: st.DrawFn) -> Drawn:
    """Draw a view and the array that it must be, by a few moves in a row."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    view = Builder().constant(array)
    for move in draw(st.lists(st.sampled_from(("cut", "turn", "repeat", "shape")), max_size=4)):
        if move == "turn":
            order = draw(st.permutations(range(array.ndim)))
            view, array = view.transpose(order), array.transpose(order)
        elif move == "cut":
            axis = draw(st.integers(0, array.ndim - 1))
            start = draw(st.integers(0, array.shape[axis] - 1))
            step = draw(st.sampled_from((-2, -1, 1, 2)))
            places = range(start, -1 if step < 0 else array.shape[axis], step)
            view = view.cut(axis, start, len(places), step)
            array = array.take(list(places), axis)
        elif move == "repeat":
            wanted = [draw(st.integers(1, 3)) if size == 1 else size for size in array.shape]
            view, array = view.broadcast([2, *wanted]), np.broadcast_to(array, [2, *wanted])
        else:
            found = view.reshape([1, array.size])
            view, array = (view, array) if found is None else (found, array.reshape(1, -1))
    return view, array


@given(views())
def test_a_view_has_the_elements_of_the_array(drawn: Drawn) -> None:
    view, array = drawn
    assert view.shape == array.shape
    assert np.array_equal(view.values(), array)


@given(views())
def test_what_a_loop_over_fewer_axes_meets_is_the_same(drawn: Drawn) -> None:
    view, array = drawn
    sizes, (strides,) = collapsed(view.shape, [view.strides])
    places = [
        view.offset + sum(i * s for i, s in zip(index, strides, strict=True))
        for index in np.ndindex(*sizes)
    ]
    values = view.storage.values
    assert values is not None
    assert np.array_equal(values[places], array.ravel())


@given(views())
def test_elements_that_lie_in_order_are_known_to(drawn: Drawn) -> None:
    view, array = drawn
    assert view.contiguous == bool(
        np.array_equal(np.diff(array.ravel()), np.ones(array.size - 1, np.float32))
    )


@pytest.mark.parametrize("ask", ["cut", "low", "turn", "repeat", "shape", "fewer"])
def test_elements_that_are_not_there_are_no_view(ask: str) -> None:
    view = Builder().constant(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"^the shapes do not fit: "):
        {
            "cut": lambda: view.cut(1, 1, 3),
            "low": lambda: view.cut(1, 1, 3, -1),
            "turn": lambda: view.transpose([0, 0]),
            "repeat": lambda: view.broadcast([2, 4]),
            "shape": lambda: view.reshape([7]),
            "fewer": lambda: view.reshape([5]),
        }[ask]()
