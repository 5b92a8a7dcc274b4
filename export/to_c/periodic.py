"""The texts of functions that go by whole numbers: rounding, remainders, sines, powers."""

from __future__ import annotations

# From 2^23 on every float is whole; added to 2^23 a smaller one is rounded, of two as near to even.
_ROUND = """
/* The nearest whole number, of two as near the even one; exact. */
static inline float net_round(float x)
{
    const float a = x < 0.0f ? -x : x;
    const float r = a < 8388608.0f ? (a + 8388608.0f) - 8388608.0f : a;
    return x < 0.0f ? -r : r;
}
"""
_FLOOR = """
/* The largest whole number that is not above x; exact. */
static inline float net_floor(float x)
{
    const float r = net_round(x);
    return r > x ? r - 1.0f : r;
}
"""
_SIGN = """
static inline float net_sign(float x)
{
    return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
}
"""
_REM = """
/* x - y trunc(x / y): what is left of x, with its sign; as exact as the quotient. */
static inline float net_rem(float x, float y)
{
    const float q = x / y;
    const float a = net_floor(q < 0.0f ? -q : q);
    return x - (q < 0.0f ? -a : a) * y;
}
"""
# Range reduction by pi / 2 in three parts and polynomials of degrees 7 and 8: the coefficients of
# Cephes' sinf and cosf.
_TURN = """
/* sin x, or cos x where quarter is 1; largest error 2e-7 for |x| <= 8192, more beyond. */
static inline float net_turn(float x, uint32_t quarter)
{
    net_float n;
    float r, z, s, c, p;
    n.value = x * 0.636619772f + 12582912.0f; /* the last bits are the nearest whole number */
    quarter += n.bits;
    n.value = n.value - 12582912.0f;
    r = x - n.value * 1.5703125f;
    r = r - n.value * 4.83751297e-4f;
    r = r - n.value * 7.54978995e-8f;
    z = r * r;
    s = -1.9515295891e-4f * z + 8.3321608736e-3f;
    s = s * z + -1.6666654611e-1f;
    s = s * z * r + r;
    c = 2.443315711809948e-5f * z + -1.388731625493765e-3f;
    c = c * z + 4.166664568298827e-2f;
    c = c * z * z - 0.5f * z + 1.0f;
    p = (quarter & 1u) != 0u ? c : s;
    return (quarter & 2u) != 0u ? -p : p;
}
"""
_SIN = """
static inline float net_sin(float x)
{
    return net_turn(x, 0u);
}
"""
_COS = """
static inline float net_cos(float x)
{
    return net_turn(x, 1u);
}
"""
_POW = """
/* x^y = e^(y ln |x|), of a sign where x is below 0 and y is whole; largest relative error 2e-5,
   1e-6 where the result is between 1e-2 and 1e2; NaN where x is below 0 and y is not whole. */
static inline float net_pow(float x, float y)
{
    const float half = 0.5f * y;
    const int whole = net_floor(y) == y, odd = whole && net_floor(half) != half;
    const float a = x < 0.0f ? -x : x;
    const float p = a == 1.0f ? 1.0f : net_exp(y * net_log(a));
    const float signed_ = x < 0.0f && odd ? -p : p;
    const float kept = x < 0.0f && !whole ? (x - x) / (x - x) : signed_;
    return y == 0.0f ? 1.0f : kept;
}
"""
HELPERS = {  # name → text, and the helpers that it calls; in the order in which a file has them
    "round": (_ROUND, ()),
    "floor": (_FLOOR, ("round",)),
    "sign": (_SIGN, ()),
    "rem": (_REM, ("floor",)),
    "turn": (_TURN, ("bits",)),
    "sin": (_SIN, ("turn",)),
    "cos": (_COS, ("turn",)),
    "pow": (_POW, ("exp", "log", "floor")),
}
