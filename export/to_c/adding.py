"""The texts of sums: 32 of them side by side, put together in pairs, so that compilers make vectors
of them and all give the same bits.
"""

from __future__ import annotations

_TREE = """
static inline float net_tree(float *s)
{
    for (int w = 16; w > 0; w /= 2) {
        for (int r = 0; r < w; ++r) { s[r] = s[r] + s[r + w]; }
    }
    return s[0];
}
"""
_SUM = """
/* The sum of x[0 .. n): every 32nd together, and those in pairs. */
static inline float net_sum(const float *restrict x, int n)
{
    float s[32];
    int i = 0;
    for (int r = 0; r < 32; ++r) { s[r] = 0.0f; } /* an initialiser may be a call of memset */
    for (; i + 32 <= n; i += 32) {
        for (int r = 0; r < 32; ++r) { s[r] = s[r] + x[i + r]; }
    }
    for (int r = 0; r < n - i; ++r) { s[r] = s[r] + x[i + r]; }
    return net_tree(s);
}
"""
_SQUARES = """
/* The sum of the squares of x[0 .. n), in the same order. */
static inline float net_squares(const float *restrict x, int n)
{
    float s[32];
    int i = 0;
    for (int r = 0; r < 32; ++r) { s[r] = 0.0f; } /* an initialiser may be a call of memset */
    for (; i + 32 <= n; i += 32) {
        for (int r = 0; r < 32; ++r) { s[r] = s[r] + x[i + r] * x[i + r]; }
    }
    for (int r = 0; r < n - i; ++r) { s[r] = s[r] + x[i + r] * x[i + r]; }
    return net_tree(s);
}
"""
HELPERS = {  # name → text, and the helpers that it calls
    "tree": (_TREE, ()),
    "sum": (_SUM, ("tree",)),
    "squares": (_SQUARES, ("tree",)),
}
