"""What the integers of a block stand for: near the weight, packed as onnxruntime reads them, and
refused where they cannot.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgernn.errors import UsageError
from edgernn.export.rounding.blocks import BITS, BLOCK_SIZES, Blocks, quantize_matrix

WEIGHTS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.integers(1, 70)),
    elements=st.floats(-4, 4, width=32),
)
each_bits = pytest.mark.parametrize("bits", BITS)


def normal(rows: int, columns: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def product_error(x: np.ndarray, weight: np.ndarray, blocks: Blocks) -> float:
    return float(np.square(x @ (blocks.values() - weight).T).mean())


@settings(deadline=None, max_examples=60)
@given(weight=WEIGHTS, bits=st.sampled_from(BITS), block_size=st.sampled_from(BLOCK_SIZES))
def test_every_weight_is_within_one_step_of_its_block(
    weight: np.ndarray, bits: int, block_size: int
) -> None:
    blocks = quantize_matrix(weight, bits=bits, block_size=block_size)
    found = blocks.values()
    assert (found.shape, found.dtype, blocks.block_size) == (weight.shape, np.float32, block_size)
    steps = np.repeat(np.abs(blocks.scales), block_size, axis=1)[:, : weight.shape[1]]
    reach = (
        np.abs(weight).max(initial=0) * 0.31
    )  # the least share of its largest value that a scale covers is 0.7
    assert (np.abs(found - weight) <= np.maximum(steps, reach) + 1e-6).all()


@settings(deadline=None, max_examples=40)
@given(weight=WEIGHTS, bits=st.sampled_from(BITS), block_size=st.sampled_from(BLOCK_SIZES))
def test_rounding_twice_is_rounding_once(weight: np.ndarray, bits: int, block_size: int) -> None:
    once = quantize_matrix(weight, bits=bits, block_size=block_size).values()
    twice = quantize_matrix(once, bits=bits, block_size=block_size).values()
    lost = float(np.square(twice - once).sum())
    assert lost <= 1e-6 + 0.1 * float(np.square(once - weight).sum())


@settings(deadline=None, max_examples=60)
@given(data=st.data(), bits=st.sampled_from(BITS), rows=st.integers(1, 3), blocks=st.integers(1, 3))
def test_packed_bytes_give_the_integers_back(
    data: st.DataObject, bits: int, rows: int, blocks: int
) -> None:
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    integers = data.draw(
        hnp.arrays(np.int8, (rows, blocks, 16), elements=st.integers(lowest, highest))
    )
    packed = Blocks(integers, np.ones((rows, blocks), np.float32), bits, 16 * blocks).packed()
    assert (packed.shape, packed.dtype) == ((rows, blocks, 16 * bits // 8), np.uint8)
    halves = (
        packed if bits == 8 else np.stack([packed & 15, packed >> 4], 3).reshape(integers.shape)
    )
    assert np.array_equal(halves.astype(int) + lowest, integers)


def test_the_first_of_two_values_stands_in_the_low_half() -> None:
    integers = np.zeros((1, 1, 16), np.int8)
    integers[0, 0, :4] = (-8, 7, 1, -1)
    packed = Blocks(integers, np.ones((1, 1), np.float32), 4, 16).packed()
    assert packed[0, 0].tolist() == [0xF0, 0x79, *[0x88] * 6]


@each_bits
def test_columns_that_fill_no_block_are_padded_with_what_stands_for_zero(bits: int) -> None:
    blocks = quantize_matrix(normal(3, 33), bits=bits, block_size=32)
    assert blocks.integers.shape == (3, 2, 32)
    assert not blocks.integers[:, 1, 1:].any()
    assert blocks.values().shape == (3, 33)


@pytest.mark.parametrize(("bits", "most"), [(4, 0.93), (8, 1.0)])
def test_the_chosen_scale_beats_the_largest_value_alone(bits: int, most: float) -> None:
    weight = normal(64, 256)
    cut, highest = weight.reshape(64, 8, 32), (1 << (bits - 1)) - 1
    extreme = np.take_along_axis(cut, np.abs(cut).argmax(2)[..., None], 2)
    errors = []
    for scale in (extreme / highest, extreme / (-highest - 1)):
        errors.append(
            np.square(np.clip(np.rint(cut / scale), -highest - 1, highest) * scale - cut).sum(2)
        )
    found = quantize_matrix(weight, bits=bits, block_size=32).values()
    assert np.square(found - weight).sum() <= most * np.minimum(*errors).sum() + 1e-6


@each_bits
@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e30, -1e30, 1e-30])
def test_one_value_everywhere_is_kept(value: float, bits: int) -> None:
    weight = np.full((2, 33), value, np.float32)
    np.testing.assert_allclose(
        quantize_matrix(weight, bits=bits, block_size=32).values(), weight, rtol=1e-6
    )


@each_bits
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30, 1e38])
def test_the_size_of_the_weights_is_no_matter(size: float, bits: int) -> None:
    weight = np.clip(normal(4, 64), -3, 3)
    plain = quantize_matrix(weight, bits=bits, block_size=32).values()
    scaled = quantize_matrix(weight * np.float32(size), bits=bits, block_size=32).values() / size
    np.testing.assert_allclose(scaled, plain, atol=1e-5 if bits == 8 else 1e-4)


@each_bits
def test_weights_too_small_for_a_scale_become_zeros(bits: int) -> None:
    blocks = quantize_matrix(np.full((2, 32), 1e-40, np.float32), bits=bits, block_size=32)
    assert np.isfinite(blocks.scales).all()
    assert not blocks.values().any()


def correlated(columns: int) -> np.ndarray:
    """Inputs of which each is near a mixture of a few: what a hidden state is like."""
    random = np.random.default_rng(4)
    mixed = random.normal(size=(512, 6)) @ random.normal(size=(6, columns))
    return (mixed + 0.1 * random.normal(size=(512, columns))).astype(np.float32)


@pytest.mark.parametrize("columns", [64, 33])
def test_with_correlated_inputs_a_products_error_is_made_good(columns: int) -> None:
    x, weight = correlated(columns), normal(24, columns)
    nearest = quantize_matrix(weight, bits=4, block_size=16)
    made_good = quantize_matrix(weight, bits=4, block_size=16, hessian=x.T @ x / len(x))
    assert product_error(x, weight, made_good) < 0.25 * product_error(x, weight, nearest), (
        "also in the blocks that follow"
    )
    assert (
        np.square(made_good.values() - weight).mean() >= np.square(nearest.values() - weight).mean()
    )


def test_inputs_that_have_nothing_to_do_with_one_another_leave_rounding_to_the_nearest() -> None:
    weight = normal(8, 48)
    nearest = quantize_matrix(weight, bits=4, block_size=16)
    assert np.array_equal(
        quantize_matrix(weight, bits=4, block_size=16, hessian=np.eye(48)).integers,
        nearest.integers,
    )


@pytest.mark.parametrize(
    "hessian",
    [
        np.zeros((40, 40)),
        np.ones((40, 40)),
        1e-30 * np.ones((40, 40)),
        1e12 * np.ones((40, 40), np.float32),
    ],
    ids=["zeros", "rank 1", "tiny", "huge"],
)
def test_a_hessian_that_cannot_be_inverted(hessian: np.ndarray) -> None:
    weight = normal(5, 40)
    found = quantize_matrix(weight, bits=4, block_size=16, hessian=hessian).values()
    assert np.isfinite(found).all()
    assert np.abs(found - weight).max() < 4


def test_the_weight_and_the_hessian_are_not_changed() -> None:
    weight, hessian = normal(4, 32), np.ones((32, 32))
    before = weight.copy()
    quantize_matrix(weight, bits=4, block_size=16, hessian=hessian)
    assert np.array_equal(weight, before)
    assert (hessian == 1).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(wrong: float) -> None:
    with pytest.raises(
        UsageError,
        match="a weight is not finite, so it cannot be quantised; train or import the model again",
    ):
        quantize_matrix(np.array([[1, wrong]], np.float32), bits=8, block_size=32)
    with pytest.raises(
        UsageError, match="not finite on calibration data; look for NaN in its weights"
    ):
        quantize_matrix(normal(1, 2), bits=4, block_size=32, hessian=np.full((2, 2), wrong))


@pytest.mark.parametrize(("bits", "block_size"), [(3, 32), (4, 20), (8, 0), (0, 32), (4, 512)])
def test_bits_and_blocks_that_onnxruntime_does_not_take(bits: int, block_size: int) -> None:
    says = (
        rf"bits {bits} in blocks of {block_size}: expected bits of \(8, 4\) and blocks of \(16, "
        r"32, 64, 128, 256\)"
    )
    with pytest.raises(UsageError, match=says):
        quantize_matrix(np.ones((1, 2), np.float32), bits=bits, block_size=block_size)
