"""``edgernn batch``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from edgernn.cli.output import progress_console, say, say_json
from edgernn.errors import UsageError
from edgernn.wording import counted

ENGINES = ("local", "ray")


def batch(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a folder or a .edgernn file.")],
    source: Annotated[
        str,
        typer.Option(
            "--input",
            help="A table (parquet, csv, tsv, jsonl, txt), a folder of them or of pictures, or a "
            "pattern; on this machine or as s3://…, gs://….",
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", help="A folder for parquet files: new, or of this same run.")
    ],
    workers: Annotated[
        int | None, typer.Option(help="At one time; default the number of processors.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local: processes of this machine; ray: a Ray cluster.")
    ] = "local",
    column: Annotated[
        str | None, typer.Option(help="The column that is read; default found by its name.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(help="Columns to stand beside the answers, id,text; default all but bytes."),
    ] = None,
    rows: Annotated[
        int, typer.Option(help="Rows that are answered and written at one time.")
    ] = 4096,
    beam: Annotated[int | None, typer.Option(help="caption, translate: beams.")] = None,
    length: Annotated[int | None, typer.Option(help="generate: most tokens of a text.")] = None,
    seed: Annotated[int | None, typer.Option(help="generate: row n takes the seed + n.")] = None,
    temperature: Annotated[float | None, typer.Option(help="generate: see generate.")] = None,
    top_k: Annotated[int | None, typer.Option(help="generate: see generate.")] = None,
    top_p: Annotated[float | None, typer.Option(help="generate: see generate.")] = None,
    on_unknown: Annotated[
        str | None,
        typer.Option(help="Characters that the vocabulary lacks: error (default) or skip."),
    ] = None,
    artifact: Annotated[
        str | None, typer.Option(help="A step file or format in the bundle; default ONNX.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Classify, translate, caption or generate for every row of a table or folder: one row of
    output for each row of input, in order, what is wrong with a row in its column error.

    A run that was stopped goes on where it stood when it is started again.
    """
    from dataclasses import asdict

    from edgernn.batch.run import plan_run, run_plan
    from edgernn.bundle import Bundle

    if engine not in ENGINES:
        raise UsageError(f"--engine is {engine!r}, expected {' or '.join(ENGINES)}")
    options: dict[str, Any] = {"beam": beam, "length": length, "seed": seed}
    options |= {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    options["on_unknown"] = on_unknown
    chosen = {} if engine == "local" else {"engine": _ray()}
    with Bundle.open(bundle) as opened:
        plan = plan_run(
            opened,
            source,
            column=column,
            keep=None if keep is None else [name.strip() for name in keep.split(",") if name],
            artifact=artifact,
            options=options,
            rows=rows,
        )
    count = (os.cpu_count() or 1) if workers is None else workers
    model = bundle if engine == "local" else _packed(bundle)
    with _Bar() as bar:
        made = run_plan(plan, model, output, workers=count, progress=bar.show, **chosen)
    if as_json:
        say_json(asdict(made))
        return
    say(
        f"{made.rows:,} row{'s' * (made.rows != 1)} in {counted(made.parts, 'file')} of {output}: "
        f"{made.rows - made.refused:,} answered, {made.refused:,} refused (column error)"
    )
    there = f", {counted(made.found, 'file')} of an earlier run" if made.found else ""
    by = f", {counted(made.workers, 'worker')}" if made.workers else ""
    say(f"{made.seconds:.1f} s{by}{there}")


class _Bar:
    """How far it is, on stderr."""

    def __enter__(self) -> _Bar:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        console = progress_console()
        columns = (BarColumn(), MofNCompleteColumn(), "rows", TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task("")
        self._progress.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._progress.stop()

    def show(self, done: int, rows: int) -> None:
        """Show so many of so many."""
        self._progress.update(self._task, completed=done, total=rows)


def _ray() -> Any:
    from edgernn.batch.ray_engine import run_on_ray

    return run_on_ray


def _packed(bundle: Path) -> bytes:
    """Return a bundle's bytes as one file, for workers that may be on other machines."""
    import tempfile

    from edgernn.bundle.packed import SUFFIX, pack

    if bundle.is_file():
        return bundle.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / f"model{SUFFIX}"
        pack(bundle, packed)
        return packed.read_bytes()
