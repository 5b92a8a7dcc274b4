"""The texts of functions that compare: limits, magnitudes, rows within a table."""

from __future__ import annotations

_MAX = """
static inline float net_max(float x, float y)
{
    return x > y || x != x ? x : y;
}
"""
_MIN = """
static inline float net_min(float x, float y)
{
    return x < y || x != x ? x : y;
}
"""
_RELU = """
static inline float net_relu(float x)
{
    return x < 0.0f ? 0.0f : x;
}
"""
_ABS = """
static inline float net_abs(float x)
{
    return x < 0.0f ? -x : x;
}
"""
_ROW = """
/* A row of a table of so many: below 0 counted from the end, outside the nearest one. */
static inline int64_t net_row(int64_t row, int64_t rows)
{
    row = row < 0 ? row + rows : row;
    return row < 0 ? 0 : row < rows ? row : rows - 1;
}
"""
HELPERS = {  # name → text, and the helpers that it calls
    "max": (_MAX, ()),
    "min": (_MIN, ()),
    "relu": (_RELU, ()),
    "abs": (_ABS, ()),
    "row": (_ROW, ()),
}
