"""Where else the ONNX files run: every cell in every precision, in every other runtime, over 256
chained steps on its own state. Writes ``COMPATIBILITY.md`` and the data that ``edgernn explain``
reads.

    python benchmarks/compatibility.py                  # every runtime, about 25 minutes on 2 cores
    python benchmarks/compatibility.py --only tract     # one anew, the others as they were
    python benchmarks/compatibility.py --cell nas mut1  # of these, what others have kept
    python benchmarks/compatibility.py --print          # write the page anew from the data

Each runtime is installed into an environment of its own (``--environments FOLDER`` keeps them), and
runs in a child process with a limit of time and memory.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from _elsewhere import Runtime, runtimes
from _elsewhere_cases import OTHERS, Case, make_cases
from _elsewhere_install import InstallError, environment
from _elsewhere_page import advised, dumps, page, verdict_of
from _elsewhere_run import run

from edgernn.bench.machine import describe_machine
from edgernn.formats.compatibility import DATA
from edgernn.models.cells.table import CELLS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "benchmarks/COMPATIBILITY.md"


def main() -> None:
    """Run what was asked for, and write the pages after every runtime."""
    rows = runtimes()
    asked = _arguments([row.name for row in rows])
    torch.set_num_threads(1)
    if asked.print:
        _write({}, {}, rows)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(asked.environments or Path(scratch) / "environments")
        names = asked.cell or [*CELLS, *OTHERS]
        cases = make_cases(names, Path(asked.cases or Path(scratch) / "cases"))
        about = _about(cases)
        for runtime, row in rows.items():
            if asked.only and runtime.name not in asked.only:
                continue
            found = _measured(runtime, row, folder, cases)
            _write(about, {runtime.name: found}, rows)


def _measured(runtime: Runtime, row: Path, folder: Path, cases: list[Case]) -> dict[str, Any]:
    """Return versions and cell → column → what became of it, or why there is nothing."""
    began = time.monotonic()
    try:
        place, versions = environment(runtime, folder)
    except InstallError as error:
        print(f"{runtime.name}: not installed: {error}", flush=True)
        return {"missing": str(error)}
    found: dict[str, dict[str, Any]] = {}
    own = [case for case in cases if not runtime.columns or case.column in runtime.columns]
    for case, told in run(runtime, row, place, own).items():
        told.setdefault("verdict", verdict_of(case.column, told.get("difference")))
        found.setdefault(case.cell, {})[case.column] = told
        print(f"{runtime.name} {case.cell} {case.column}: {told}", flush=True)
    print(f"{runtime.name}: {time.monotonic() - began:.0f} s", flush=True)
    return {"versions": versions, "results": found}


def _about(cases: list[Case]) -> dict[str, Any]:
    needs: dict[str, dict[str, Any]] = {}
    for case in cases:
        needs.setdefault(case.cell, {})[case.column] = case.needs
    machine = describe_machine()
    return {
        "machine": f"{machine.processor}, {machine.platform}, Python {machine.python}",
        "reference": f"onnxruntime {onnxruntime.__version__}",
        "needs": needs,
    }


def _write(about: dict[str, Any], found: dict[str, Any], rows: Iterable[Runtime]) -> None:
    """Add to data and page what was found, the runtimes in the order of their rows."""
    data = json.loads(DATA.read_text(encoding="utf-8")) if DATA.exists() else {}
    needs = data.get("needs", {}) | about.get("needs", {})
    data |= {**about, "needs": _in_order(needs)}
    known = data.get("runtimes", {})
    for name, told in found.items():
        if "results" in told:
            results = known.get(name, {}).get("results", {}) | told["results"]
            told["results"] = _in_order(results)
    found = known | found
    data["runtimes"] = {row.name: found[row.name] for row in rows if row.name in found}
    for row in rows:
        if row.name in found:
            advised(found[row.name], row)
    DATA.write_text(dumps(data) + "\n", encoding="utf-8")
    PAGE.write_text(page(data), encoding="utf-8")


def _in_order(found: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of each cell in the order of the tables."""
    return {name: found[name] for name in (*CELLS, *OTHERS) if name in found}


def _arguments(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument(
        "--cell",
        nargs="+",
        choices=[*CELLS, *OTHERS],
        help="of these cells; of others, what is known is kept",
    )
    parser.add_argument("--environments", help="a folder that keeps what is installed")
    parser.add_argument(
        "--cases", help="a folder that keeps the files, and that they are taken from"
    )
    parser.add_argument("--print", action="store_true", help="write the page anew, run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
