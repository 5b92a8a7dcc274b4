"""Shapes are drawn from every range, anew for each seed and the same for the same seed."""

from __future__ import annotations

import pytest

from edgernn.parity.shapes import LENGTHS, MANY, SEVERAL, draw, fitting, unforeseen_seed


def test_one_of_every_range_whatever_the_seed() -> None:
    for seed in range(200):
        shapes = draw(seed)
        assert SEVERAL[0] <= shapes.several <= SEVERAL[1]
        assert MANY[0] <= shapes.many <= MANY[1]
        assert [
            low <= length <= high
            for length, (low, high) in zip(shapes.lengths, LENGTHS, strict=True)
        ] == [True] * 5


def test_the_widest_shapes_are_drawn_too() -> None:
    drawn = [draw(seed) for seed in range(2000)]
    assert max(shapes.many for shapes in drawn) == 33
    assert max(shapes.lengths[-1] for shapes in drawn) == 257
    assert {length % 2 for shapes in drawn for length in shapes.lengths} == {0, 1}


def test_a_seed_repeats_and_another_differs() -> None:
    assert draw(7) == draw(7)
    assert len({draw(seed) for seed in range(50)}) == 50
    assert draw(7).shuffled((5, 9)) == draw(7).shuffled((5, 9))
    assert sorted(draw(7).shuffled((5, 9), singles=3)) == [1, 1, 1, 5, 9]


def test_a_seed_of_this_run_is_not_the_last_ones() -> None:
    seeds = {unforeseen_seed() for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 1 << 32 for seed in seeds)


@pytest.mark.parametrize(
    ("rows", "widest", "expected"),
    [(1, 100, (5, 257)), (1, 1 << 17, (5, 64)), (33, 1 << 17, (1, 1)), (33, 1 << 24, (1, 1))],
)
def test_calls_whose_tensors_would_not_fit_are_shortened(
    rows: int, widest: int, expected: tuple[int, int]
) -> None:
    assert fitting((5, 257), rows=rows, widest=widest) == expected
