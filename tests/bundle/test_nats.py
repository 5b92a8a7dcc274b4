"""Losses in nats are compared and told at any size; only what is infinite becomes the largest
number.
"""

from __future__ import annotations

import math
import sys

import pytest

from edgernn.bundle.nats import (
    FLOAT16_ROUNDING,
    FLOAT32_ROUNDING,
    is_within,
    perplexity,
    perplexity_text,
    relative_rise,
    rise_text,
)


def test_perplexities_and_rises_are_what_their_formulas_say() -> None:
    assert perplexity(math.log(8)) == pytest.approx(8)
    assert relative_rise(math.log(8), math.log(10)) == pytest.approx(0.25)
    assert relative_rise(5000.0, 5000.0 + math.log(1.5)) == pytest.approx(0.5)
    assert relative_rise(math.log(8), math.log(4)) == pytest.approx(-0.5)


def test_what_would_overflow_is_the_largest_number() -> None:
    for nats in (709.79, 5000.0, 1e300):
        assert perplexity(nats) == pytest.approx(sys.float_info.max, rel=1e-9)
        assert math.isfinite(perplexity(nats))
        assert math.isfinite(relative_rise(1.0, nats))
    assert relative_rise(1e300, 1.0) == -1


@pytest.mark.parametrize("loss", [1.5, 700.0, 5000.0, 1e6])
@pytest.mark.parametrize("rounding", [FLOAT32_ROUNDING, FLOAT16_ROUNDING])
def test_what_is_within_is_told_from_what_is_not(loss: float, rounding: float) -> None:
    assert is_within(loss, loss, 0.0, rounding=rounding)
    assert is_within(loss, loss + math.log(1.01), 0.011, rounding=rounding)
    assert not is_within(loss, loss * (1 + 2 * rounding) + math.log(1.02), 0.011, rounding=rounding)
    assert is_within(loss, loss + 1e9, math.inf, rounding=rounding)


def test_the_rounding_of_logits_counts_only_beyond_any_fair_guess() -> None:
    assert not is_within(10.0, 10.0 + 2e-6, 1e-6, rounding=FLOAT16_ROUNDING)
    assert is_within(5000.0, 5000.001, 0.0, rounding=FLOAT32_ROUNDING)
    assert not is_within(5000.0, 5000.01, 0.0, rounding=FLOAT32_ROUNDING)


def test_numbers_are_short_at_any_size() -> None:
    assert perplexity_text(math.log(8)) == "8.0000"
    assert perplexity_text(5000.125) == "e^5000.12"
    assert (rise_text(0.0123), rise_text(-0.5, digits=0), rise_text(0.0123, sign="")) == (
        "+1.23%",
        "-50%",
        "1.23%",
    )
    assert rise_text(relative_rise(1, 5000)) == "+2e+308 times"
