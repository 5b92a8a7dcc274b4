"""Losses in nats a token: what is compared, stored and told, as it stays finite where its
exponential does not.

A mean of -log p of 710 nats is a model that is badly wrong, and a number like any other; the
perplexity of it is beyond every float64. So comparisons are made in nats, and a perplexity or a
rise that would be infinite is the largest float64 instead.
"""

from __future__ import annotations

import math
import sys

_MOST = math.log(sys.float_info.max)  # 709.78: the largest exponent
FLOAT32_ROUNDING, FLOAT16_ROUNDING = 2.0**-22, 2.0**-10  # two units in the last place
_GUESS = 16.0  # nats: a guess among nine million words
_LONGEST = 1e6  # from here on a perplexity is told as a power, and a rise in how many times


def perplexity(nats: float) -> float:
    """Return exp(``nats``), or the largest float64 where that is more."""
    return math.exp(min(nats, _MOST))


def relative_rise(reference: float, nats: float) -> float:
    """Return how much the perplexity rises from ``reference`` to ``nats``, both in nats: 0.01 is 1
    %, below 0 is better.
    """
    return math.expm1(min(nats - reference, _MOST))


def is_within(reference: float, nats: float, allowed: float, *, rounding: float) -> bool:
    """Return whether the perplexity rises by no more than ``allowed`` (0.01 is 1 %), but for
    ``rounding``.

    Logits of thousands are told to a thousandth in float32 and to a few units in float16, so a loss
    of thousands of nats is no better known. What is above the loss of a fair guess is therefore let
    off by this share of it.
    """
    return nats - reference <= math.log1p(allowed) + rounding * max(
        0.0, reference - _GUESS, nats - _GUESS
    )


def perplexity_text(nats: float) -> str:
    """Return the perplexity as a person reads it: ``8.1234``, and from a million on
    ``e^5000.12``.
    """
    return f"{perplexity(nats):.4f}" if nats < math.log(_LONGEST) else f"e^{nats:.2f}"


def rise_text(rise: float, *, digits: int = 2, sign: str = "+") -> str:
    """Return a relative rise as a person reads it: ``+1.23%``, and from a million on ``+1e+30
    times``.
    """
    return f"{rise:{sign}.{digits}%}" if abs(rise) < _LONGEST else f"{rise:{sign}.0e} times"
