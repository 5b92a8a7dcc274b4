"""The table of what each format carries, as ``benchmarks/coverage.py`` found it."""

from __future__ import annotations

from collections.abc import Mapping

from edgernn.formats.coverage_table import ROWS

COLUMNS = (
    "onnx float32",
    "onnx int8",
    "torchscript float32",
    "coreml float16",
    "coreml int8",
    "coreml-mlstate float16",
    "c float32",
)


def coverage() -> dict[str, dict[str, str]]:
    """Return feature → format and precision → ``yes``, ``one step a call`` or why not."""
    return {name: dict(zip(COLUMNS, cells, strict=True)) for name, cells in ROWS.items()}


def markdown(table: Mapping[str, Mapping[str, str]]) -> str:
    """Return the table in Markdown."""
    lines = [["feature", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
    lines += [[name, *(cells[column] for column in COLUMNS)] for name, cells in table.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(table: Mapping[str, Mapping[str, str]]) -> str:
    """Return the table in columns of one width each."""
    lines = [["", *COLUMNS], *([name, *cells.values()] for name, cells in table.items())]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
