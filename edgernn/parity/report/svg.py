"""The plot of a check's curves as SVG: error over calls on a logarithmic axis, with the tolerance.

Exact zeros have a band of their own below the axis, values that are not finite one above it. Lines
differ in colour and in dash; both stand in the page's style sheet, under the classes ``line-0`` …
of ``line_class``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from edgernn.parity.report.wording import value
from edgernn.wording import plain

LINES = 6  # colours in the style sheet; a seventh tensor shares the first one's
_WIDTH, _HEIGHT = 460.0, 230.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 10.0, 8.0, 32.0
_BAND = 28.0  # height of the bands for zero and for what is not finite
_POINTS = 400  # more calls than this are drawn as the largest of several
_FURTHEST = 30  # decades; what lies beyond is drawn at the edge
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class _Frame:
    """Where values lie: decades ``low`` to ``high`` between the pixels ``bottom`` and ``top``;
    calls from 0 to ``last``.
    """

    low: int
    high: int
    top: float
    bottom: float
    last: int

    def x(self, call: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (call / self.last if self.last else 0.5)

    def y(self, error: float) -> float:
        if not math.isfinite(error):
            return self.top - _BAND / 2
        if error <= 0:
            return self.bottom + _BAND / 2
        part = (_decade(error) - self.low) / (self.high - self.low)
        return self.bottom - (self.bottom - self.top) * part


def plot(
    curves: Mapping[str, Sequence[float]], *, tolerance: float | None, title: str, identifier: str
) -> str:
    """Return an ``<svg>`` element of the curves, one line per tensor.

    Args:
        curves: tensor → its scaled difference at each call.
        tolerance: drawn as a line if it is positive and finite.
        title: what the picture is of, for those who cannot see it.
        identifier: unique in the page; the ids of title and description begin with it.
    """
    limit = (
        tolerance if tolerance is not None and math.isfinite(tolerance) and tolerance > 0 else None
    )
    frame = _frame(
        [error for curve in curves.values() for error in curve],
        limit,
        max(map(len, curves.values())) - 1,
    )
    lines = [_line(curve, frame, index) for index, curve in enumerate(curves.values())]
    return "".join(
        (
            f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" '
            f'aria-labelledby="{identifier}-title {identifier}-desc">',
            f'<title id="{identifier}-title">{escape(plain(title))}</title>',
            f'<desc id="{identifier}-desc">{escape(_description(curves, limit))}</desc>',
            *_grid(frame, curves.values()),
            *([] if limit is None else _limit_line(frame, limit)),
            *lines,
            "</svg>",
        )
    )


def line_class(index: int) -> str:
    """Return the class that colours and dashes the line ``index``."""
    return f"line line-{index % LINES}"


def _frame(errors: Sequence[float], limit: float | None, last: int) -> _Frame:
    drawn = [error for error in errors if math.isfinite(error) and error > 0] + (
        [] if limit is None else [limit]
    )
    low = math.floor(_decade(min(drawn, default=1e-8)))
    high = max(math.ceil(_decade(max(drawn, default=1e-6))), low + 1)
    if limit is not None and limit < 2 * 10.0**low:
        low -= 1  # the tolerance lies at the bottom: leave room to see that nothing is below it
    top = _TOP + (0 if all(map(math.isfinite, errors)) else _BAND)
    bottom = _HEIGHT - _BOTTOM - (_BAND if any(error == 0 for error in errors) else 0)
    return _Frame(low, high, top, bottom, last)


def _decade(error: float) -> float:
    return min(max(math.log10(error), -_FURTHEST), _FURTHEST)


def _line(curve: Sequence[float], frame: _Frame, index: int) -> str:
    stride = math.ceil(len(curve) / _POINTS)
    points = [(at, _largest(curve[at : at + stride])) for at in range(0, len(curve), stride)]
    drawn = " ".join(f"{frame.x(at):.1f},{frame.y(error):.1f}" for at, error in points)
    if len(points) == 1:
        x, y = drawn.split(",")
        return f'<circle class="{line_class(index)} dot" cx="{x}" cy="{y}" r="3"/>'
    return f'<polyline class="{line_class(index)}" points="{drawn}"/>'


def _largest(errors: Iterable[float]) -> float:
    return max(error if math.isfinite(error) else math.inf for error in errors)


def _grid(frame: _Frame, curves: Iterable[Sequence[float]]) -> list[str]:
    every = math.ceil((frame.high - frame.low) / 6)
    rows = [
        (frame.y(10.0**power), f"10{str(power).translate(_SUPERSCRIPT)}")
        for power in _powers(frame, every)
    ]
    rows += [(frame.y(0), "0")] if frame.bottom < _HEIGHT - _BOTTOM else []
    rows += [(frame.y(math.inf), "∞")] if frame.top > _TOP else []
    grid = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{text}</text>'
        for y, text in rows
    ]
    floor = _HEIGHT - _BOTTOM
    for call in _calls(frame.last):
        x = frame.x(call)
        grid.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{floor}" y2="{floor + 4}"/>')
        grid.append(
            f'<text class="tick" x="{x:.1f}" y="{floor + 15}" text-anchor="middle">{call}</text>'
        )
    grid.append(
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{floor}" y2="{floor}"/>'
    )
    grid.append(
        f'<text class="tick" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 3}" '
        'text-anchor="middle">call</text>'
    )
    return grid


def _powers(frame: _Frame, every: int) -> range:
    return range(frame.high, frame.low - 1, -every)


def _calls(last: int) -> list[int]:
    """Return about five round numbers from 0 to ``last``."""
    steps = (factor * 10**power for power in range(12) for factor in (1, 2, 5))
    step = next(step for step in steps if last / step <= 5)
    return list(range(0, last + 1, step))


def _limit_line(frame: _Frame, limit: float) -> list[str]:
    y = frame.y(limit)
    text_y = y - 5 if y - 16 > frame.top else y + 13
    return [
        f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<text class="limit-text" x="{_WIDTH - _RIGHT}" y="{text_y:.1f}" '
        f'text-anchor="end">tolerance {value(limit)}</text>',
    ]


def _description(curves: Mapping[str, Sequence[float]], limit: float | None) -> str:
    parts = [f"{plain(name)} at most {value(_largest(curve))}" for name, curve in curves.items()]
    calls = max(map(len, curves.values()))
    tolerance = "" if limit is None else f"; the tolerance is {value(limit)}"
    return (
        f"Largest absolute difference at each of {calls} calls, logarithmic: "
        f"{', '.join(parts)}{tolerance}."
    )
