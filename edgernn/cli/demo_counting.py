"""``edgernn demo counting``: an LSTM counts beyond the lengths that it saw, a GRU does not."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn.cli import tables
from edgernn.cli.output import progress_console, say, say_rule, tell
from edgernn.cli.training import training
from edgernn.data.text import counting
from edgernn.errors import UsageError
from edgernn.wording import argument, counted

if TYPE_CHECKING:
    from edgernn.writing.counting import Counted

_CELLS = ("lstm", "gru")
_TIMES = 4  # n of the longest line that is asked for, in units of the longest one in training
_NETWORKS = [(data, cell) for data in counting.LETTERS for cell in _CELLS]


@training()
def counting_demo(
    out: Annotated[
        Path, typer.Option(help="Where runs and bundles go; must not hold an older demo.")
    ] = Path("demo-counting"),
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of a try.")] = 240,
    tries: Annotated[int, typer.Option(min=1, help="Seeds that a network is trained from.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
) -> None:
    """An LSTM and a GRU on aⁿbⁿ and aⁿbⁿcⁿ, asked for lines four times as long as they saw."""
    from edgernn.training.counting import VALIDATED
    from edgernn.writing import counting as written

    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} holds an older demo; remove it, or choose another --out")
    began, longest = time.perf_counter(), _TIMES * counting.LONGEST
    folders = {(data, cell): out / f"{data}-{cell}" for data, cell in _NETWORKS}
    rows, passed = [], True
    for place, ((data, cell), folder) in enumerate(folders.items(), 1):
        tell(f"{place}/{len(folders)} {cell} on {data}")
        tried, verified = _network(data, cell, folder, steps=steps, tries=tries, seed=seed)
        found = written.measure(folder / "bundle", counting.LETTERS[data], longest=longest)
        rows.append((f"{cell} on {data}", found, tried))
        passed = passed and verified
    tell("drawing the cells")
    pairs = {f"{c} on {d}": (f / "bundle", counting.LETTERS[d]) for (d, c), f in folders.items()}
    written.draw(pairs, out / "cells.png", n=longest)
    say_rule(f"lines predicted by the ONNX files; training had n up to {counting.LONGEST}")
    for name, found, tried in rows:
        say(f"{name:<22}{told(found)} (best of {counted(tried, 'seed')} by n to {VALIDATED})")
    say(f"cells      {out / 'cells.png'}: over the longest line")
    say(f"verified   {'yes' if passed else 'NO'}")
    say(f"all of it  {time.perf_counter() - began:.0f} s")
    bundle = argument(out / "counting-ab-lstm" / "bundle")
    say(f"go on with edgernn generate {bundle} --prompt aaaaaaa --length 8 --temperature 0")
    if not passed:
        raise typer.Exit(1)


def told(found: Counted) -> str:
    """Return what was right in one line."""
    first = "no line wrong" if found.first_wrong is None else f"n = {found.first_wrong} is wrong"
    return (
        f"n to {found.trained}: {found.seen:6.1%}, n to {len(found.right)}: {found.beyond:6.1%}; "
        f"{first}"
    )


def _network(
    data: str, cell: str, folder: Path, *, steps: int, tries: int, seed: int
) -> tuple[int, bool]:
    """Train, export and verify one; return the tries that it took, and whether all checks
    passed.
    """
    from edgernn.export import export_bundle
    from edgernn.parity.verify import verify_bundle
    from edgernn.training.run_counting import train_counting
    from edgernn.training.terminal import Terminal

    reporter = Terminal(progress_console())
    options = {"steps": steps, "tries": tries, "seed": seed}
    found = train_counting(data, cell, folder, reporter=reporter, tell=tell, **options)
    if found.run.interrupted:
        raise typer.Exit(128 + found.run.signal)
    bundle = export_bundle(found.run.folder, folder / "bundle", tell=tell)
    report = verify_bundle(bundle, write_report=True, tell=tell)
    say_rule(f"parity of {folder / 'bundle'}")
    tables.say_report(report)
    return found.tries, report.passed
