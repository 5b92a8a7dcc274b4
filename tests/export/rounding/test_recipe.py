"""How a layer is stored: as it is named, else as all others; and of the block sizes allowed, the
one of the fewest bytes.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.export.rounding.blocks import BLOCK_SIZES
from edgernn.export.rounding.recipe import Recipe, Rounding

_ROWS = 32


def row_bytes(columns: int, bits: int, size: int) -> int:
    blocks = -(-columns // size)
    return blocks * size * bits // 8 + 4 * blocks


def test_a_layer_that_is_named_has_its_own_bits() -> None:
    recipe = Recipe(Rounding(4, 128), {"head": Rounding(8, 32)})
    assert recipe.rounding("head", 256, rows=_ROWS) == Rounding(8, 32)
    assert recipe.rounding("recurrent.layers.0.joined", 256, rows=_ROWS) == Rounding(4, 128)


@pytest.mark.parametrize(
    ("columns", "bits", "size"),
    [
        (256, 8, 128),
        (128, 4, 128),
        (64, 4, 64),
        (33, 8, 16),
        (20, 4, 32),
        (20, 8, 32),
        (8, 8, 16),
        (1, 4, 16),
        (288, 4, 64),
    ],
)
def test_the_block_size_that_takes_the_fewest_bytes(columns: int, bits: int, size: int) -> None:
    assert Recipe(Rounding(bits, 128)).rounding("any", columns, rows=_ROWS) == Rounding(bits, size)


@given(
    columns=st.integers(1, 2000), bits=st.sampled_from([4, 8]), chosen=st.sampled_from(BLOCK_SIZES)
)
def test_never_larger_than_what_was_chosen(columns: int, bits: int, chosen: int) -> None:
    found = Recipe(Rounding(bits, chosen)).rounding("any", columns, rows=_ROWS)
    assert found.block_size in BLOCK_SIZES
    assert found.block_size <= chosen
    assert row_bytes(columns, bits, found.block_size) <= row_bytes(columns, bits, chosen)


def test_of_two_sizes_that_take_the_same_the_larger() -> None:
    assert row_bytes(40, 4, 16) == row_bytes(40, 4, 64)
    assert Recipe(Rounding(4, 128)).rounding("any", 40, rows=_ROWS).block_size == 64


def test_a_matrix_of_few_rows_keeps_8_bits_unless_it_is_named() -> None:
    recipe = Recipe(Rounding(4, 128), {"head": Rounding(4, 32)})
    assert recipe.rounding("next", 256, rows=4) == Rounding(8, 128)
    assert recipe.rounding("next", 256, rows=5) == Rounding(4, 128)
    assert recipe.rounding("head", 256, rows=2) == Rounding(4, 32)
    assert Recipe(Rounding(8, 64)).rounding("next", 256, rows=2) == Rounding(8, 64)
