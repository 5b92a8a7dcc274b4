"""The functions that C has none of without a library: how far they are from the exact ones, and
what they make of what is no number.
"""

from __future__ import annotations

import ctypes
import math
from functools import cache
from typing import Any

import numpy as np
import pytest

from edgernn.export.to_c.functions import FUNCTIONS, HELPERS, helpers_of
from edgernn.sessions.compiler import build, find_compiler

UNARY = (
    "exp", "log", "sqrt", "erf", "tanh", "sigmoid", "relu", "abs", "sin", "cos", "round", "floor",
    "ceil", "sign", "softplus",
)  # fmt: skip


@cache
def library() -> Any:
    loops = [
        f"void all_{name}(const float *x, float *y, int n) "
        f"{{ for (int i = 0; i < n; ++i) y[i] = {FUNCTIONS[name].text.format('x[i]')}; }}"
        for name in UNARY
    ]
    loops.append(
        "void all_pow(const float *x, const float *p, float *y, int n) "
        "{ for (int i = 0; i < n; ++i) y[i] = net_pow(x[i], p[i]); }"
    )
    text = "\n".join(["#include <stdint.h>", *helpers_of(set(HELPERS)), *loops])
    return build({"functions.c": text.encode()}, find_compiler())


def of(name: str, x: np.ndarray) -> np.ndarray:
    given, made = np.ascontiguousarray(x, np.float32), np.zeros(len(x), np.float32)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (given, made)]
    library()[f"all_{name}"](*pointers, len(x))
    return made


def points(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 1_000_003).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "low", "high", "limit"),
    [
        ("tanh", -12, 12, 4e-7),
        ("sigmoid", -30, 30, 2.5e-7),
        ("erf", -6, 6, 6e-7),
        ("sin", -8192, 8192, 2e-7),
        ("cos", -8192, 8192, 2e-7),
    ],
)
def test_the_largest_error_is_the_stated_one(
    name: str, low: float, high: float, limit: float
) -> None:
    x = points(low, high)
    exact = {
        "tanh": np.tanh,
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "erf": np.vectorize(math.erf),
        "sin": np.sin,
        "cos": np.cos,
    }[name](x.astype(np.float64))
    found = np.abs(of(name, x) - exact).max()
    assert found <= limit
    assert found > limit / 10, "the stated error is no guess"


@pytest.mark.parametrize(
    ("name", "low", "high", "limit"),
    [
        ("exp", -87, 88.7, 3e-7),
        ("log", 1e-3, 100, 3e-7),
        ("log", 1e-38, 1e-36, 3e-7),
        ("log", 1e-37, 1e38, 3e-7),
        ("sqrt", 1e-3, 1e4, 2e-7),
        ("softplus", -87, 87, 3e-7),
        ("softplus", -2, 2, 3e-7),
        ("softplus", 0, 3e38, 3e-7),
    ],
)
def test_the_largest_relative_error_is_the_stated_one(
    name: str, low: float, high: float, limit: float
) -> None:
    x = points(low, high)
    x = x[np.abs(x - 1) > 1e-2] if name == "log" else x  # near 1 it is 0: absolute there
    function = {"softplus": lambda x: np.logaddexp(x, 0)}.get(name) or getattr(np, name)
    exact = function(x.astype(np.float64))
    assert (np.abs(of(name, x) - exact) / np.abs(exact)).max() <= limit


def test_a_logarithm_over_all_powers_of_two() -> None:
    x = np.exp2(np.linspace(-148, 127.99, 1_000_003)).astype(np.float32)
    x = x[np.abs(x - 1) > 1e-2]
    exact = np.log(x.astype(np.float64))
    assert np.abs(of("log", x) / exact - 1).max() <= 3e-7


def test_near_one_a_logarithm_is_near_nothing() -> None:
    x = points(0.99, 1.01)
    assert np.abs(of("log", x) - np.log(x.astype(np.float64))).max() < 1e-8


def test_what_is_beyond_a_functions_range() -> None:
    inf = np.inf
    assert of("exp", np.array([-200, -88, 0, 89, 200, inf, -inf])).tolist() == [
        0, 0, 1, inf, inf, inf, 0,
    ]  # fmt: skip
    assert of("log", np.array([0, 1, inf])).tolist() == [-inf, 0, inf]
    assert of("softplus", np.array([-inf, -1e30, -88, 200, 1e30, inf])).tolist() == [
        0, 0, 0, 200, np.float32(1e30), inf,
    ]  # fmt: skip
    assert of("sqrt", np.array([0, 1, 4, inf])).tolist() == [0, 1, 2, inf]
    assert of("tanh", np.array([-inf, 0, inf])) == pytest.approx([-1, 0, 1], abs=4e-7)
    assert of("sigmoid", np.array([-inf, 0, inf])) == pytest.approx([0, 0.5, 1], abs=2.5e-7)
    assert np.isnan(of("log", np.array([-1, -inf]))).all()
    assert np.isnan(of("sqrt", np.array([-1, -inf]))).all()


@pytest.mark.parametrize("name", UNARY)
def test_what_is_no_number_stays_none(name: str) -> None:
    x = np.array([0.5, np.nan, 0.25] * 50)  # long enough for vectors
    assert np.array_equal(np.isnan(of(name, x)), np.isnan(x))


@pytest.mark.parametrize(
    ("name", "exact"),
    [("round", np.rint), ("floor", np.floor), ("ceil", np.ceil), ("sign", np.sign)],
)
def test_whole_numbers_are_exact(name: str, exact: Any) -> None:
    edges = [0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -1.5, 8388607.5, -8388607.5, 8388609, 3e38, -3e38,
             np.inf, -np.inf, np.nan, 1e-40]  # fmt: skip
    x = np.concatenate([points(-40, 40), points(-9e6, 9e6), np.array(edges, np.float32)])
    assert np.array_equal(of(name, x), exact(x), equal_nan=True)


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_no_angle_without_an_end(name: str) -> None:
    assert np.isnan(of(name, np.array([np.inf, -np.inf, np.nan], np.float32))).all()


def powers(x: np.ndarray, p: np.ndarray) -> np.ndarray:
    given = [np.ascontiguousarray(a, np.float32) for a in (x, p)]
    made = np.zeros(len(x), np.float32)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (*given, made)]
    library().all_pow(*pointers, len(x))
    return made


def test_the_largest_error_of_a_power_is_the_stated_one() -> None:
    draw = np.random.default_rng(2)
    x = np.exp(draw.uniform(-12, 12, 300_000)).astype(np.float32)
    p = draw.uniform(-7, 7, 300_000).astype(np.float32)
    exact = np.power(x.astype(np.float64), p.astype(np.float64))
    fit = (exact > 1e-37) & (exact < 3e38)
    error = np.abs(powers(x, p)[fit] / exact[fit] - 1)
    assert 2e-6 < error.max() <= 2e-5
    near = (exact[fit] > 1e-2) & (exact[fit] < 1e2)
    assert error[near].max() <= 1e-6


def test_powers_of_what_is_not_above_zero() -> None:
    x = np.array([-2, -2, -2, 0, 0, -1, np.nan, 2, np.inf], np.float32)
    p = np.array([3, 2, 0.5, 2, 0, 7, 1, np.nan, 2], np.float32)
    with np.errstate(invalid="ignore"):
        exact = np.power(x, p)
    assert np.allclose(powers(x, p), exact, rtol=1e-6, equal_nan=True)
