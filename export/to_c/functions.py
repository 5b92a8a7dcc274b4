"""Functions of one element: how they are written in C, and what they give for constants.

``+ − × ÷`` and comparisons are C's own. The rest is computed here from them alone, so that a file
needs no mathematical library and gives the same bits in every one. NaN stays NaN in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgernn.export.to_c import adding, limits, periodic


@dataclass(frozen=True)
class Function:
    """One row: its text in C over ``{0}``, ``{1}`` …; the same in numpy; the helper that the text
    calls; whether floats alone have it; and the text for whole numbers, where that is another.
    """

    text: str
    folded: Callable[..., np.ndarray]
    helper: str = ""
    floats: bool = False
    whole: str = ""

    @property
    def arity(self) -> int:
        """How many arguments it has."""
        text = self.text or self.whole
        return 1 + max(int(number) for number in re.findall(r"\{(\d)\}", text))


# Rational minimax approximation of degrees 13 and 6: the coefficients of Eigen's ptanh. Those of
# the sigmoid are the same, times powers of 4: its bits are those of (1 + tanh(x / 2)) / 2.
_TANH = """
/* tanh x: a rational of degrees 13 and 6 on [-7.9, 7.9], in pairs, so that no product waits for all
   before it; largest error 4e-7. */
static NET_CALLED float net_tanh(float x)
{
    float s, t, p, q;
    x = 7.90531111f < x ? 7.90531111f : x;
    x = -7.90531111f > x ? -7.90531111f : x;
    s = x * x;
    t = s * s;
    p = -2.76076847742355e-16f * t + (2.00018790482477e-13f * s + -8.60467152213735e-11f);
    q = (5.12229709037114e-08f * s + 1.48572235717979e-05f) * t;
    q = q + (6.37261928875436e-04f * s + 4.89352455891786e-03f);
    p = p * (t * t) + q;
    q = (1.19825839466702e-06f * s + 1.18534705686654e-04f) * t;
    q = q + (2.26843463243900e-03f * s + 4.89352518554385e-03f);
    return x * p / q;
}
"""
_SIGMOID = """
/* 1 / (1 + e^-x) = (1 + tanh(x / 2)) / 2; largest error 2.5e-7. */
static NET_CALLED float net_sigmoid(float x)
{
    float s, t, p, q;
    x = 15.8106222f < x ? 15.8106222f : x;
    x = -15.8106222f > x ? -15.8106222f : x;
    s = x * x;
    t = s * s;
    p = -1.68503929e-20f * t + (4.88327133e-17f * s + -8.40299984e-14f);
    q = (2.00089736e-10f * s + 2.32144117e-07f) * t;
    q = q + (3.98288721e-05f * s + 1.22338114e-03f);
    p = p * (t * t) + q;
    q = (1.87227869e-08f * s + 7.40841915e-06f) * t;
    q = q + (5.67108684e-04f * s + 4.89352504e-03f);
    return x * p / q + 0.5f;
}
"""
_CALLED = """
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#define NET_CALLED __attribute__((noinline)) /* less code and stack on a microcontroller */
#else
#define NET_CALLED inline
#endif
"""
_BITS = """
typedef union { float value; uint32_t bits; } net_float;
"""
# Range reduction and polynomial of degree 7: the coefficients of Cephes' expf.
_EXP = """
/* e^x = 2^n e^r, |r| <= ln 2 / 2; largest relative error 3e-7;
   0 below -87.3, infinite above 88.7. */
static inline float net_exp(float x)
{
    net_float n, scale;
    float r = x, p;
    const int top = x > 88.0f; /* 2^128 is no float: 2^127, twice */
    r = 88.8f < r ? 88.8f : r;
    r = -87.3f > r ? -87.3f : r;
    n.value = r * 1.44269504f + 12582912.0f; /* the last bits are the nearest whole number */
    scale.bits = (n.bits + (top ? 126u : 127u)) << 23;
    n.value = n.value - 12582912.0f;
    r = r - n.value * 0.693359375f;
    r = r - n.value * -2.12194440e-4f;
    p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * r * r + r + 1.0f) * scale.value;
    p = top ? p * 2.0f : p;
    return x < -87.3f ? 0.0f : p;
}
"""
# The coefficients of Cephes' logf.
_LOG = """
/* ln x = n ln 2 + ln(1 + r); largest relative error 3e-7; NaN below 0. */
static inline float net_log(float x)
{
    net_float own, m;
    float n, r, p;
    const int tiny = x < 1.17549435e-38f;
    own.value = tiny ? x * 8388608.0f : x;
    own.bits = own.bits + 0x004afb0du; /* so that the next power of 2 begins at sqrt(1/2) */
    n = (float)(int32_t)((own.bits >> 23) & 255u) - (tiny ? 150.0f : 127.0f);
    m.bits = (own.bits & 0x007fffffu) + 0x3f3504f3u; /* in [sqrt(1/2), sqrt(2)) */
    r = m.value - 1.0f;
    p = 7.0376836292e-2f * r + -1.1514610310e-1f;
    p = p * r + 1.1676998740e-1f;
    p = p * r + -1.2420140846e-1f;
    p = p * r + 1.4249322787e-1f;
    p = p * r + -1.6668057665e-1f;
    p = p * r + 2.0000714765e-1f;
    p = p * r + -2.4999993993e-1f;
    p = p * r + 3.3333331174e-1f;
    p = p * r * r * r + n * -2.12194440e-4f - 0.5f * r * r;
    p = r + p + n * 0.693359375f;
    p = x == 0.0f ? -3.0e38f * 3.0e38f : p;
    p = x <= 3.40282347e38f ? p : x;
    return x < 0.0f ? x * 0.0f / 0.0f : p;
}
"""
# Polynomial of degree 4 fitted to ln((1 + s) / (1 - s)) / s over s^2, largest relative error 4e-9.
_SOFTPLUS = """
/* ln(1 + e^x) = max(x, 0) + ln(1 + u), u = e^-|x|, and ln(1 + u) = ln((1 + s) / (1 - s)) with
   s = u / (2 + u), where no digit of a small u is lost; largest relative error 3e-7; 0 below
   -87.3. */
static inline float net_softplus(float x)
{
    const float u = net_exp(x < 0.0f ? x : -x);
    const float s = u / (2.0f + u);
    const float t = s * s;
    float p = 2.81783342e-1f * t + 2.79606014e-1f;
    p = p * t + 4.00249094e-1f;
    p = p * t + 6.66663170e-1f;
    p = p * t + 2.0f;
    return p * s + (x < 0.0f ? 0.0f : x);
}
"""
_SQRT = """
/* The square root by Newton's method from a first guess in the bits; largest relative error 2e-7;
   NaN below 0. */
static inline float net_sqrt(float x)
{
    net_float y;
    float half = 0.5f * x, root;
    y.value = x;
    y.bits = 0x5f3759dfu - (y.bits >> 1);
    y.value = y.value * (1.5f - half * y.value * y.value);
    y.value = y.value * (1.5f - half * y.value * y.value);
    y.value = y.value * (1.5f - half * y.value * y.value);
    root = x * y.value;
    root = 0.5f * (root + x / root);
    root = x >= 1.0e-30f && x <= 3.0e38f ? root : x;
    return x < 0.0f ? x * 0.0f / 0.0f : root;
}
"""
# Abramowitz and Stegun 1964, 7.1.26.
_ERF = """
/* The error function; largest error 6e-7. */
static inline float net_erf(float x)
{
    float a = x < 0.0f ? -x : x, t, p;
    t = 1.0f / (1.0f + 0.3275911f * a);
    p = 1.061405429f * t + -1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t + -0.284496736f;
    p = p * t + 0.254829592f;
    p = 1.0f - p * t * net_exp(-a * a);
    return x < 0.0f ? -p : p;
}
"""
HELPERS = {  # name → text, and the helpers that it calls; in the order in which a file has them
    "bits": (_BITS, ()),
    "exp": (_EXP, ("bits",)),
    "log": (_LOG, ("bits",)),
    "softplus": (_SOFTPLUS, ("exp",)),
    "sqrt": (_SQRT, ("bits",)),
    "erf": (_ERF, ("exp",)),
    "called": (_CALLED, ()),
    "tanh": (_TANH, ("called",)),
    "sigmoid": (_SIGMOID, ("called",)),
    **limits.HELPERS,
    **periodic.HELPERS,
    **adding.HELPERS,
}


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


def _quotient(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Divide as C does: whole numbers towards zero."""
    if np.issubdtype(np.asarray(x).dtype, np.floating):
        return np.asarray(x / y)
    return np.asarray(np.trunc(np.asarray(x, float) / y).astype(np.asarray(x).dtype))


def _own(text: str, folded: Callable[..., np.ndarray]) -> Function:
    return Function(text, folded)


def _call(name: str, folded: Callable[..., np.ndarray]) -> Function:
    return Function(f"net_{name}({{0}})", folded, name, floats=True)


FUNCTIONS = {
    "add": _own("({0} + {1})", np.add),
    "sub": _own("({0} - {1})", np.subtract),
    "mul": _own("({0} * {1})", np.multiply),
    "div": Function(
        "({0} / {1})",
        _quotient,
        whole="({1} == 0 ? 0 : {1} == -1 ? -{0} : {0} / {1})",  # no trap, whatever comes
    ),
    "neg": _own("(-{0})", np.negative),
    "abs": Function("net_abs({0})", np.abs, "abs", whole="({0} < 0 ? -{0} : {0})"),
    "max": Function("net_max({0}, {1})", np.maximum, "max", whole="({0} > {1} ? {0} : {1})"),
    "min": Function("net_min({0}, {1})", np.minimum, "min", whole="({0} < {1} ? {0} : {1})"),
    "relu": Function(
        "net_relu({0})",
        lambda x: np.maximum(x, np.zeros_like(x)),
        "relu",
        whole="({0} < 0 ? 0 : {0})",
    ),
    "select": _own("({0} ? {1} : {2})", np.where),
    "greater": _own("({0} > {1})", np.greater),
    "less": _own("({0} < {1})", np.less),
    "greater_equal": _own("({0} >= {1})", np.greater_equal),
    "less_equal": _own("({0} <= {1})", np.less_equal),
    "equal": _own("({0} == {1})", np.equal),
    "cast": _own("({type}){0}", np.asarray),
    "truth": _own("({0} != 0)", lambda x: np.not_equal(x, 0)),
    "and": _own("({0} && {1})", np.logical_and),
    "or": _own("({0} || {1})", np.logical_or),
    "not": _own("(!{0})", np.logical_not),
    "exp": _call("exp", np.exp),
    "log": _call("log", np.log),
    "softplus": _call("softplus", lambda x: np.logaddexp(x, np.zeros_like(x))),
    "sqrt": _call("sqrt", np.sqrt),
    "tanh": _call("tanh", np.tanh),
    "sigmoid": _call("sigmoid", _sigmoid),
    "erf": _call("erf", lambda x: np.zeros(0)),
}


FUNCTIONS |= {
    "xor": _own("({0} != {1})", np.logical_xor),
    "is_nan": _own("({0} != {0})", np.isnan),
    "round": _call("round", np.rint),
    "floor": _call("floor", np.floor),
    "ceil": Function("(-net_floor(-{0}))", np.ceil, "floor", floats=True),
    "sin": _call("sin", np.sin),
    "cos": _call("cos", np.cos),
    "pow": Function("net_pow({0}, {1})", np.power, "pow", floats=True),
    "sign": Function("net_sign({0})", np.sign, "sign", whole="(({0} > 0) - ({0} < 0))"),
    "rem": Function(
        "net_rem({0}, {1})",
        np.fmod,
        "rem",
        whole="({1} == 0 || {1} == -1 ? 0 : {0} % {1})",
    ),
    "mod": Function(
        "",
        np.mod,
        whole="({1} == 0 || {1} == -1 ? 0 : {0} % {1} != 0 && ({0} % {1} < 0) != ({1} < 0) ? "
        "{0} % {1} + {1} : {0} % {1})",
    ),
}


def helpers_of(names: set[str]) -> list[str]:
    """Return the texts of the helpers ``names``, and of those that they call, in order."""
    wanted = set(names)
    while more := {inner for name in wanted for inner in HELPERS[name][1]} - wanted:
        wanted |= more
    return [text for name, (text, _) in HELPERS.items() if name in wanted]
