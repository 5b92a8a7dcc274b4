"""Convolutions and pools against torch, over drawn sizes, windows, strides and paddings; those
saved in programs stand in ``test_image``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from edgernn.sessions.mil.windows import WINDOWS


def eighths(*shape: int) -> np.ndarray:
    """Numbers from -1 to 1 that float16 holds exactly."""
    return np.random.default_rng(sum(shape)).integers(-8, 9, shape) / 8


def t(array: np.ndarray) -> Tensor:
    return torch.tensor(array)


POOLS: dict[str, Callable[..., Tensor]] = {
    "max_pool": functional.max_pool2d,
    "avg_pool": lambda x, **options: functional.avg_pool2d(x, count_include_pad=True, **options),
    "avg_pool exclude": lambda x, **options: functional.avg_pool2d(
        x, count_include_pad=False, **options
    ),
}
Pair = tuple[int, ...]
PAIRS, PADS, MORE = (
    st.tuples(st.integers(*ends), st.integers(*ends)) for ends in ((1, 4), (0, 2), (0, 7))
)


def fitting(reaches: Sequence[int], pad: Pair, more: Pair) -> tuple[int, ...]:
    """Sizes of an input on which padded windows stand at one place or, by ``more`` elements, at
    more.
    """
    return tuple(
        max(1, reach - 2 * p) + extra for reach, p, extra in zip(reaches, pad, more, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(MORE, PAIRS, PAIRS, PADS, PAIRS, st.sampled_from([(1, 1), (2, 1), (2, 3), (3, 1)]))
def test_convolutions_there_and_back(
    more: Pair, kernel: Pair, strides: Pair, pad: Pair, dilations: Pair, groups: Pair
) -> None:
    reaches = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pad = tuple(min(p, (reach - 1) // 2) for p, reach in zip(pad, reaches, strict=True))
    x, weight = (
        eighths(2, 2 * groups[0], *fitting(reaches, pad, more)),
        eighths(groups[0] * groups[1], 2, *kernel),
    )
    options = (
        np.array(strides),
        "custom",
        np.repeat(pad, 2),
        np.array(dilations),
        np.array(groups[0]),
    )
    there = functional.conv2d(t(x), t(weight), None, strides, pad, dilations, groups[0])
    np.testing.assert_allclose(WINDOWS["conv"](x, weight, *options), there, atol=1e-12)
    back = functional.conv_transpose2d(
        there, t(weight), None, strides, pad, 0, groups[0], dilations
    )
    np.testing.assert_allclose(
        WINDOWS["conv_transpose"](there.numpy(), weight, *options), back, atol=1e-12
    )


@pytest.mark.parametrize("name", POOLS)
@settings(max_examples=60, deadline=None)
@given(MORE, PAIRS, PAIRS, PADS, st.booleans())
def test_pools(name: str, more: Pair, kernel: Pair, strides: Pair, pad: Pair, ceil: bool) -> None:
    pad = tuple(min(p, k // 2) for p, k in zip(pad, kernel, strict=True))
    if ceil:  # by longer strides a window may stand outside
        strides = tuple(map(min, strides, kernel))
    x = eighths(2, 3, *fitting(kernel, pad, more))
    options = (np.array(kernel), np.array(strides), "custom", np.repeat(pad, 2), np.array(ceil))
    exclude = (np.array(name.endswith("exclude")),) if name.startswith("avg") else ()
    expected = POOLS[name](t(x), kernel_size=kernel, stride=strides, padding=pad, ceil_mode=ceil)
    np.testing.assert_allclose(
        WINDOWS[name.removesuffix(" exclude")](x, *options, *exclude), expected, atol=1e-12
    )


def test_a_window_that_does_not_fit_is_refused() -> None:
    strides, pad = np.array([3]), np.array([0, 0])
    for size, ceil in (
        (2, False),
        (6, True),
    ):  # too small; a last window that would stand at 6, outside
        with pytest.raises(
            ValueError,
            match=rf"a window over 3 elements by steps of \d does not fit the axis of {size}",
        ):
            WINDOWS["max_pool"](
                np.zeros((1, 1, size)),
                np.array([3]),
                strides * (1 + ceil),
                "custom",
                pad,
                np.array(ceil),
            )
