"""What each format carries: a tiny network for every feature, exported and verified in each format
and precision. Writes ``benchmarks/COVERAGE.md`` and the table that ships in the package.

    python benchmarks/coverage.py            # every cell, about 10 minutes on 2 cores
    python benchmarks/coverage.py gru        # one row anew
"""

from __future__ import annotations

import argparse
import contextlib
import io
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from _coverage_networks import NETWORKS, Case

from edgernn.bundle import Bundle
from edgernn.contract.in_graph import DECODERS
from edgernn.errors import EdgernnError
from edgernn.formats.coverage import COLUMNS, coverage, markdown
from edgernn.parity.verify import verify_bundle
from edgernn.storage import scratch

ROOT = Path(__file__).resolve().parent.parent
PAGE, TABLE = ROOT / "benchmarks/COVERAGE.md", ROOT / "edgernn/formats/coverage_table.py"
STEPS = 16
FLOAT = "stayed float"


def cell(case: Case, column: str, *, tell: bool = False) -> str:
    """Export and verify one network in one format and precision, and say in a word or two how that
    went.
    """
    name, _, precision = column.partition(" ")
    with scratch() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                bundle = case.export(folder / "net", name, precision, steps=STEPS)
            report = verify_bundle(folder / "net", steps=STEPS)
        except EdgernnError as error:
            if tell:
                print(column, error)
            return _refusal(str(error))
        except (RuntimeError, ValueError, TypeError, AttributeError, KeyError) as error:
            return f"fails: {type(error).__name__}"
        return _carried(case, bundle) if report.passed else "fails: verify"


def _carried(case: Case, bundle: Bundle) -> str:
    """Say how a file carries a network: as it is, or one step a call."""
    if case.whole:
        decodes = any(artifact.graph in DECODERS for artifact in bundle.manifest.artifacts)
        return "yes" if decodes else "no"
    (*_, artifact) = bundle.manifest.artifacts
    timed = bundle.manifest.contract.step.has_time
    return "one step a call" if timed and "time" in artifact.narrowing.axes else "yes"


def _refusal(message: str) -> str:
    known = {
        FLOAT: "no: weights stay float",
        "keeps states in float16": "no: float states alone",
        "does not have": "no: an operator",
        "open axis": "no: fixed sizes alone",
        "cannot export": "no",
        "does not offer": "no",
        "does not write": "no",
        "decode in the graph": "no",
    }
    return next((said for part, said in known.items() if part in message), "no: refused")


def measure(names: Iterable[str], *, tell: bool = False) -> dict[str, dict[str, str]]:
    """Return feature → column → what was found."""
    return {
        name: {column: cell(NETWORKS[name], column, tell=tell) for column in COLUMNS}
        for name in names
    }


def main() -> None:
    """Make the cells that were asked for, and write them or print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", nargs="*", help=f"of {', '.join(NETWORKS)}; all without")
    parser.add_argument("--print", action="store_true", help="print, and write nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name in asked.features or NETWORKS:
        found |= measure([name], tell=bool(asked.features))
        print(name, *found[name].values(), sep=" | ", flush=True)
    if asked.print:
        return
    found = {name: (coverage() | found)[name] for name in NETWORKS}
    rows = ",\n".join(f"    {name!r}: {list(cells.values())!r}" for name, cells in found.items())
    TABLE.write_text(f'"""{HEAD}"""\n\nROWS: dict[str, list[str]] = {{\n{rows},\n}}\n')
    PAGE.write_text(f"# What each format carries\n\n{INTRODUCTION}\n\n{markdown(found)}\n")


HEAD = "What ``benchmarks/coverage.py`` found, feature by feature in the order of the columns."
INTRODUCTION = """\
Every cell was made by `coverage.py`: a tiny network with the feature was hoisted, exported, and
verified in the format. *One step a call*: the file takes one step a call, where others take any
number. `edgernn explain --formats` prints the same."""

if __name__ == "__main__":
    main()
