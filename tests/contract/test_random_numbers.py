"""The random numbers of sampling are those of SplitMix64, at any place of any seed, alone or many
at once.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.contract.random_numbers import SEEDS, checked_seed, uniform_numbers
from edgernn.errors import UsageError

# What the generator's authors' own program writes for the seed 1234567, as 64 bits each.
PUBLISHED = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]
FIRST_OF_ZERO = 0xE220A8397B1DCDAF  # as published with java.util.SplittableRandom and xoshiro
LAST_BELOW_ONE = 1 - 2.0**-53


def in_unit(bits: int) -> float:
    return (bits >> 11) / 2**53


def test_the_numbers_are_the_published_ones() -> None:
    assert uniform_numbers(1234567, 5).tolist() == [in_unit(bits) for bits in PUBLISHED]
    assert uniform_numbers(0, 1).tolist() == [in_unit(FIRST_OF_ZERO)]


@given(
    seed=st.integers(0, SEEDS - 1),
    position=st.integers(0, 2**70),
    count=st.integers(0, 30),
    more=st.integers(0, 30),
)
def test_any_number_is_had_without_those_before_it(
    seed: int, position: int, count: int, more: int
) -> None:
    both = uniform_numbers(seed, count + more, position=position)
    after = uniform_numbers(seed, more, position=position + count)
    assert both.dtype == np.float64
    assert both[count:].tolist() == after.tolist()
    assert all(0 <= number <= LAST_BELOW_ONE for number in both)


@pytest.mark.parametrize("seed", [0, 1, SEEDS - 1])
def test_the_numbers_are_even_and_independent(seed: int) -> None:
    numbers = uniform_numbers(seed, 20_000)
    assert np.abs(np.histogram(numbers, 20, (0, 1))[0] - 1000).max() < 150
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.03
    assert abs(np.corrcoef(numbers, uniform_numbers((seed + 1) % SEEDS, 20_000))[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("seed", "says"), [(-1, "-1"), (SEEDS, "18446744073709551616"), (1.5, "1.5"), ("7", "'7'")]
)
def test_a_seed_out_of_its_range_is_refused(seed: object, says: str) -> None:
    with pytest.raises(UsageError, match=rf"the seed is {says}, expected .*0 to 2\^64 - 1"):
        uniform_numbers(seed, 1)  # type: ignore[arg-type]


def test_a_seed_may_be_of_numpy() -> None:
    assert checked_seed(np.uint64(SEEDS - 1)) == SEEDS - 1  # type: ignore[arg-type]
