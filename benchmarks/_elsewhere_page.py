"""What ``compatibility.py`` found, as a page in Markdown and as the data of the package."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from _elsewhere import ROWS, Runtime

from edgernn.formats.compatibility import INEXACT, REFUSED, RUNS, WRONG, counted, named

COLUMNS = (
    "float32", "float16", "int8", "int4", "generate",
    "portable", "portable float16", "portable int8",
)  # fmt: skip
_INTEGERS = ("int8", "int4", "portable int8")
_EXACT, _NEAR = 1e-3, 1e-1  # of floats; of integers, whose activations not everyone rounds
_MARKS = "abcdefghijklmnopqrstuvwxyz"
_WIDTH = 118
_SAID = {WRONG: "computes something else", INEXACT: "computes in fewer bits"}
ABOUT = """\
Made by `compatibility.py`: a tiny untrained language model of every cell (two layers of 64, B = 1,
T = 1), and of four layers of LSTM and GRU with a [way past each](../edgernn/models/DEEP.md),
exported in every precision, goes through each runtime over 256 steps on its own state; so do layers
that are no cell, and hoisted networks, in float32. A cell of the tables is the largest difference
of any output or state from {reference}, relative to the tensor's largest value where that is above
1. *Generate* is the file that decodes in the graph, 32 tokens in one call. *Refused*: its own line
stands below, with what to do. *Wrong*: above 0.1, or other tokens, without a word from the runtime.
A float file that differs by more than 0.001 is computed in fewer bits. Integer files differ by up
to 0.1 and are right, since native onnxruntime rounds activations to 8 bits and others do not.
*Sizes fixed*: the file was refused until batch and time were fixed at 1, as `python -m
onnxruntime.tools.make_dynamic_shape_fixed` does.

`edgernn explain` tells from this where a network runs. {machine}."""


def verdict_of(column: str, difference: float | None) -> str:
    """Return what a difference means; None is one that is infinite."""
    if difference is None or difference > _NEAR:
        return WRONG
    return RUNS if difference <= (_NEAR if column in _INTEGERS else _EXACT) else INEXACT


def advised(told: dict[str, Any], row: Runtime) -> None:
    """Write into a runtime's results what to do about those that are not right."""
    told |= {"title": row.title, "about": row.about}
    for columns in told.get("results", {}).values():
        for column, result in columns.items():
            result.pop("do", None)
            right = {each for each, own in columns.items() if own["verdict"] == RUNS}
            if result["verdict"] != RUNS and (do := _advice(row, column, result, right)):
                result["do"] = do


def _advice(row: Runtime, column: str, result: dict[str, Any], right: set[str]) -> str:
    line = f"{column}: {result.get('line') or result['verdict']}"
    fitting = (each for each in row.advice if right.issuperset(each.where))
    return next((each.do for each in fitting if re.search(each.pattern, line)), "")


def page(data: dict[str, Any]) -> str:
    """Return the whole page."""
    found = data["runtimes"].values()
    about = ABOUT.format(reference=f"native {data['reference']}", machine=data["machine"])
    parts = [
        "# Where else the ONNX files run",
        *(textwrap.fill(part, _WIDTH, break_on_hyphens=False) for part in about.split("\n\n")),
        "\n".join(_summary(data)),
        *(_section(told, _columns(data)) for told in found),
        (ROWS / "beside.txt").read_text(encoding="utf-8").rstrip(),
    ]
    return "\n\n".join(parts) + "\n"


def dumps(value: Any, depth: int = 4) -> str:
    """Return JSON with a line for each cell of a runtime."""
    if not isinstance(value, dict) or not depth or not value:
        return json.dumps(value, ensure_ascii=False)
    lines = (f"{json.dumps(key)}: {dumps(inner, depth - 1)}" for key, inner in value.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def _summary(data: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a table with a row for each runtime."""
    columns = _columns(data)
    yield _line(["runtime", "version", *columns])
    yield _line(["---"] * (len(columns) + 2))
    for told in data["runtimes"].values():
        if "missing" in told:
            yield _line([told["title"], "not installed", *["–"] * len(columns)])
            continue
        results = told["results"].values()
        cells = (counted([r[c]["verdict"] for r in results if c in r]) for c in columns)
        marked = (re.sub(r"(\d+ )?wrong", r"**\g<0>**", cell) for cell in cells)
        yield _line([told["title"], next(iter(told["versions"].values()), ""), *marked])


def _columns(data: dict[str, Any]) -> list[str]:
    return [c for c in COLUMNS if any(c in cells for cells in data["needs"].values())]


def _section(told: dict[str, Any], columns: Sequence[str]) -> str:
    """Return the heading, the table and the notes of one runtime."""
    if "missing" in told:
        return f"## {told['title']}\n\nNot installed: {told['missing']}"
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    about = f"{versions}{'; ' if told['about'] else ''}{told['about']}."
    notes: dict[tuple[str, str], str] = {}
    lines = [_line(["cell", *columns]), _line(["---"] * (len(columns) + 1))]
    for cell, results in told["results"].items():
        lines.append(_line([cell, *(_cell(results.get(column), notes) for column in columns)]))
    said = [_note(mark, *note) for note, mark in notes.items()]
    head = textwrap.fill(about, _WIDTH, break_on_hyphens=False)
    return "\n".join([f"## {named(told)}", "", head, "", *lines, *([""] if said else []), *said])


def _note(mark: str, line: str, do: str) -> str:
    said = line if line in _SAID.values() else f"`{line.replace('`', chr(39))}`"
    return textwrap.fill(
        f"- ({mark}) {said}{': ' if do else ''}{do}", _WIDTH, subsequent_indent="  ",
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


def _cell(told: dict[str, Any] | None, notes: dict[tuple[str, str], str]) -> str:
    if told is None:
        return "–"
    verdict, difference = told["verdict"], told.get("difference")
    fixed = ", sizes fixed" if told.get("fixed") else ""
    if verdict == RUNS:
        return f"{difference:.0e}{fixed}" if difference else f"0{fixed}"
    note = (_SAID.get(verdict, told.get("line", "")), told.get("do", ""))
    mark = notes.setdefault(note, _MARKS[min(len(notes), len(_MARKS) - 1)])
    if verdict == REFUSED or verdict not in _SAID:
        return f"{verdict} ({mark})"
    size = "other tokens" if difference is None else f"{difference:.0e}"
    return f"**wrong: {size}**{fixed} ({mark})" if verdict == WRONG else f"{size}{fixed} ({mark})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
