"""From logits to a token: always one that is allowed, as often as its probability says, and the
same for the same number.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgernn.contract import Decoding
from edgernn.decoding.sampling import Sampler
from edgernn.errors import UsageError

LAST = float(np.nextafter(1, 0))  # the largest number below 1
VALUES = st.floats(-20, 20, width=32)
LOGITS = arrays.arrays(np.float32, st.integers(1, 12), elements=VALUES)
UNIFORM = st.one_of(st.just(0.0), st.just(LAST), st.floats(0, LAST))
SAMPLERS = st.builds(
    Sampler,
    temperature=st.floats(0.05, 5),
    top_k=st.integers(0, 15),
    top_p=st.one_of(st.just(1.0), st.floats(0.01, 1)),
)


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    scaled = logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max())
    return weights / weights.sum()


def ranked(logits: np.ndarray) -> list[int]:
    """Return ids from the most to the least probable, the lower id first among equals."""
    return sorted(range(len(logits)), key=lambda token: (-logits[token], token))


def frequencies(sampler: Sampler, logits: np.ndarray, draws: int = 1000) -> np.ndarray:
    """Return how often each token comes for evenly spread numbers."""
    picked = [sampler.pick(logits, (i + 0.5) / draws) for i in range(draws)]
    return np.bincount(picked, minlength=len(logits)) / draws


@settings(deadline=None)
@given(logits=LOGITS, uniform=UNIFORM)
def test_greedy_takes_the_most_probable_whatever_the_number(
    logits: np.ndarray, uniform: float
) -> None:
    assert Sampler(temperature=0).pick(logits, uniform) == ranked(logits)[0]
    assert Sampler(temperature=0, top_k=3, top_p=0.1).pick(logits, uniform) == ranked(logits)[0]


def test_ties_go_to_the_lower_id() -> None:
    logits = np.array([1, 3, 0, 3, 3], np.float32)
    assert Sampler(temperature=0).pick(logits, LAST) == 1
    assert Sampler(1.0, top_k=1).pick(logits, LAST) == 1
    assert Sampler(1.0, top_p=0.01).pick(logits, LAST) == 1
    assert {Sampler(1.0, top_k=2).pick(logits, i / 50) for i in range(50)} == {1, 3}


@settings(deadline=None)
@given(logits=LOGITS, sampler=SAMPLERS, uniform=UNIFORM)
def test_the_token_is_always_in_the_allowed_set(
    logits: np.ndarray, sampler: Sampler, uniform: float
) -> None:
    order = ranked(logits)[: sampler.top_k or None]
    probabilities = softmax(logits[order], sampler.temperature)
    before = np.cumsum(probabilities) - probabilities  # what the more probable tokens sum to
    allowed = {
        token
        for token, sum_before in zip(order, before, strict=True)
        if sum_before < sampler.top_p + 1e-9
    }
    assert sampler.pick(logits, uniform) in allowed


@settings(deadline=None)
@given(logits=LOGITS, sampler=SAMPLERS, low=UNIFORM, high=UNIFORM)
def test_a_larger_number_never_takes_a_more_probable_token(
    logits: np.ndarray, sampler: Sampler, low: float, high: float
) -> None:
    low, high = sorted((low, high))
    order = ranked(logits)
    assert order.index(sampler.pick(logits, low)) <= order.index(sampler.pick(logits, high))
    assert sampler.pick(logits, 0.0) == order[0]


@settings(deadline=None)
@given(
    logits=LOGITS,
    temperature=st.floats(0.05, 5),
    top_k=st.integers(0, 15),
    uniform=UNIFORM,
    shift=st.floats(-50, 50),
)
def test_only_differences_of_logits_count(
    logits: np.ndarray, temperature: float, top_k: int, uniform: float, shift: float
) -> None:
    sampler, double = Sampler(temperature, top_k), logits.astype(np.float64)
    assume(ranked(double) == ranked(double + shift))  # rounding may make two logits equal
    low, high = (
        sampler.pick(double, u) for u in (max(uniform - 1e-9, 0), min(uniform + 1e-9, LAST))
    )
    assume(low == high)  # nor does a number on the edge between two tokens tell
    assert sampler.pick(double + shift, uniform) == low


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_tokens_come_as_often_as_their_probability_says(temperature: float) -> None:
    logits = np.array([0.5, 2.0, -1.0, 1.0, 1.0], np.float32)
    found = frequencies(Sampler(temperature), logits)
    assert np.abs(found - softmax(logits, temperature)).max() <= 1 / 1000


def test_top_k_keeps_the_proportions_of_what_is_left() -> None:
    logits = np.array([0.5, 2.0, -1.0, 1.0, 1.5], np.float32)
    expected = np.zeros(5)
    expected[[1, 4, 3]] = softmax(logits[[1, 4, 3]], 0.7)
    assert np.abs(frequencies(Sampler(0.7, top_k=3), logits) - expected).max() <= 1 / 1000


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(0.1, 1), (0.49, 1), (0.51, 2), (0.74, 2), (0.76, 3), (0.9, 4), (1.0, 4)],
    ids=str,
)
def test_top_p_keeps_the_fewest_tokens_that_reach_it(top_p: float, kept: int) -> None:
    probabilities = np.array([0.125, 0.5, 0.125, 0.25])
    order = [1, 3, 0, 2]
    expected = np.zeros(4)
    expected[order[:kept]] = probabilities[order[:kept]] / probabilities[order[:kept]].sum()
    found = frequencies(Sampler(1.0, top_p=top_p), np.log(probabilities))
    assert np.abs(found - expected).max() <= 1 / 1000


def test_top_p_counts_within_top_k() -> None:
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1]))
    # Of the two that top-k leaves, the first has 4/7 = 0.57: enough for 0.55, though it is 0.4 of
    # all four.
    assert np.count_nonzero(frequencies(Sampler(1.0, top_k=2, top_p=0.55), logits)) == 1
    assert np.count_nonzero(frequencies(Sampler(1.0, top_k=2, top_p=0.6), logits)) == 2


def test_more_than_the_vocabulary_keeps_all() -> None:
    logits = np.zeros(3, np.float32)
    assert np.count_nonzero(frequencies(Sampler(1.0, top_k=99), logits)) == 3


@settings(deadline=None)
@given(logits=LOGITS, sampler=SAMPLERS, uniform=UNIFORM)
def test_a_token_without_probability_never_comes(
    logits: np.ndarray, sampler: Sampler, uniform: float
) -> None:
    barred = np.concatenate([logits, np.full(2, -np.inf, np.float32)])
    assert sampler.pick(barred, uniform) < len(logits)


def test_the_largest_number_takes_the_last_token_that_has_a_probability() -> None:
    for size in range(2, 60):
        logits = np.random.default_rng(size).normal(size=size)
        assert Sampler(1.0).pick(logits, LAST) == ranked(logits)[-1]
        assert Sampler(1.0).pick(np.append(logits, -np.inf), LAST) < size


def test_a_number_on_the_edge_between_two_tokens_takes_the_next() -> None:
    logits = np.zeros(
        4, np.float32
    )  # token i has the numbers from i / 4 up to, and without, (i + 1) / 4
    assert [Sampler(1.0).pick(logits, i / 4) for i in range(4)] == [0, 1, 2, 3]
    assert [Sampler(1.0).pick(logits, float(np.nextafter((i + 1) / 4, 0))) for i in range(4)] == [
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize("temperature", [1e-3, 1e-300, 1e-320])
def test_the_smallest_temperature_is_greedy(temperature: float) -> None:
    logits = np.array([1, 3, -2, 2.9], np.float32)
    assert {Sampler(temperature).pick(logits, uniform) for uniform in (0.0, 0.5, LAST)} == {1}
    equal = {Sampler(temperature).pick(np.zeros(2, np.float32), uniform) for uniform in (0.0, LAST)}
    assert equal == {0, 1}


@settings(deadline=None)
@given(logits=LOGITS, sampler=SAMPLERS, uniform=UNIFORM)
def test_logits_are_read_only_and_of_any_float_dtype(
    logits: np.ndarray, sampler: Sampler, uniform: float
) -> None:
    half = logits.astype(np.float16)
    half.flags.writeable = False
    picked = sampler.pick(half, uniform)
    assert type(picked) is int
    assert picked == sampler.pick(half.astype(np.float64), uniform)


def test_large_logits_do_not_overflow() -> None:
    logits = np.array([3e38, -3e38, 3e38], np.float32)
    assert [Sampler(0.5).pick(logits, uniform) for uniform in (0.0, LAST)] == [0, 2]


@pytest.mark.parametrize("temperature", [-0.1, float("nan"), float("inf")])
def test_a_temperature_out_of_range_is_refused(temperature: float) -> None:
    with pytest.raises(
        UsageError, match=rf"temperature is {temperature}, expected 0 \(greedy\) or more"
    ):
        Sampler(temperature=temperature)


def test_a_top_k_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="top-k is -1, expected 0"):
        Sampler(top_k=-1)


@pytest.mark.parametrize("top_p", [0.0, -0.5, 1.01, float("nan")])
def test_a_top_p_out_of_range_is_refused(top_p: float) -> None:
    with pytest.raises(UsageError, match=f"top-p is {top_p}, expected above 0 and at most 1"):
        Sampler(top_p=top_p)


def test_a_bundles_defaults_hold_where_nothing_is_given() -> None:
    defaults = Decoding(temperature=0.6, top_k=7, top_p=0.9)
    assert Sampler.from_defaults(defaults, temperature=None, top_k=None, top_p=None) == Sampler(
        0.6, 7, 0.9
    )
    assert Sampler.from_defaults(defaults, temperature=0, top_k=0, top_p=1.0) == Sampler(0, 0, 1.0)
