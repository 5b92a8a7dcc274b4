"""The result of ``peers.py`` in Markdown: the machine and the packages, then one table per
model.
"""

from __future__ import annotations

import os
import platform
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from _peer_base import Peer, version_of

from edgernn.bench.machine import describe_machine
from edgernn.wording import size

PLAIN, EAGER = "ort", "torch"  # what the ratios are against
_HEADINGS = ("", "name", "step, µs", "× plain export", "× eager", "file", "difference")
_NONE = "–"
_COLUMNS = 118
_TITLE = "# One step beside other ways to run the same network"
_ABOUT = (
    "What `python benchmarks/peers.py` prints: the median time of one step (T = 1, B = 1, one "
    "thread, the state fed back through Python), all rows of a table timed in turns. Two "
    "layers, an embedding of 64, random weights. *× plain export* and *× eager* are how many "
    "times faster than `ort` and than `torch`; *difference* is the largest of the logits from "
    "eager torch's over a chained run of 64 steps. Rows in float32 compute the same network; "
    "the others differ by what their rounding costs, which says nothing of trained networks. "
    "What rounds less than it seems: `quantize_dynamic` leaves a GRU's recurrent weights in "
    "float32, and `nncf` those of both cells; the size of the file tells."
)


@dataclass(frozen=True)
class Row:
    """What was measured of a peer, or a ``note`` that says why nothing was."""

    peer: Peer
    step_us: float | None = None
    bytes: int | None = None
    difference: float | None = None
    note: str = ""


def about(peers: Sequence[Peer]) -> str:
    """Return the machine, and the versions of Python and of every package that the peers need."""
    packages = sorted({"numpy", *(package for peer in peers for package in peer.packages)})
    versions = [
        f"{package} {version}"
        for package in packages
        if (version := version_of(package)) is not None
    ]
    machine = (
        f"{describe_machine().processor}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}"
    )
    run_by = f"Python {platform.python_version()}, {', '.join(versions)}"
    wrapped = textwrap.fill(run_by, _COLUMNS, break_on_hyphens=False)
    about = textwrap.fill(_ABOUT, _COLUMNS, break_on_hyphens=False)
    return f"{_TITLE}\n\n{about}\n\n{machine}; one thread\n\n{wrapped}\n"


def section(title: str, rows: Sequence[Row]) -> str:
    """Return a heading and the table of one model; a ratio above 1 is faster than what it is
    against.
    """
    times = {row.peer.name: row.step_us for row in rows}
    lines = [f"## {title}", "", _line(_HEADINGS), "|---|---|" + "---:|" * (len(_HEADINGS) - 2)]
    for row in rows:
        cells = [row.note] + [_NONE] * 4 if row.note else _measured(row, times)
        lines.append(_line([row.peer.what, f"`{row.peer.name}`", *cells]))
    return "\n".join([*lines, ""])


def _measured(row: Row, times: dict[str, float | None]) -> list[str]:
    ratios = [
        f"{base / row.step_us:.2f}" if (base := times.get(name)) and row.step_us else _NONE
        for name in (PLAIN, EAGER)
    ]
    return [
        f"{row.step_us:.{1 if (row.step_us or 0) < 100 else 0}f}",
        *ratios,
        _NONE if row.bytes is None else size(row.bytes),
        _NONE if row.difference is None else f"{row.difference:.1e}",
    ]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
