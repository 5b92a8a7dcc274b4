"""``edgernn demo``: the whole way on built-in data, from nothing to text out of an exported file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from edgernn.cli import tables
from edgernn.cli.output import progress_console, result_console, tell
from edgernn.errors import UsageError
from edgernn.parity.wording import size

app = typer.Typer(help="Train, export, verify and generate on built-in data.", invoke_without_command=True)

_PROMPT = "The function returns "


@app.callback()
def group(context: typer.Context) -> None:
    """Train, export, verify and generate on built-in data."""
    if context.invoked_subcommand is None:
        text()


@app.command("text")
def text(
    out: Annotated[Path, typer.Option(help="Where run and bundle go; must not hold an older demo.")] = Path("demo-text"),
    minutes: Annotated[float, typer.Option(help="Minutes of training.")] = 2.0,
) -> None:
    """A character LSTM on Python's own documentation, to ONNX, TorchScript and Core ML."""
    from edgernn.decoding.writer import write_text
    from edgernn.export.pack import export_bundle
    from edgernn.parity.verify import verify_bundle
    from edgernn.training.options import TrainOptions
    from edgernn.training.progress import Terminal
    from edgernn.training.run_text import train_text
    from edgernn.training.schedule import Budget

    if (out / "run").exists():
        raise UsageError(f"{out} holds an older demo; remove it, or choose another --out")
    began = time.perf_counter()
    tell(f"1/4 training for {minutes:g} minutes on python-docs")
    options = TrainOptions(budget=Budget(unit="minutes", amount=minutes))
    run = train_text("python-docs", out / "run", options=options, reporter=Terminal(progress_console()))
    if run.interrupted:
        raise typer.Exit(130)
    tell("2/4 exporting")
    bundle = export_bundle(run.folder, out / "bundle", tell=tell)
    tell("3/4 verifying")
    report = verify_bundle(bundle, write_report=True, tell=tell)
    tell("4/4 generating from the ONNX file")
    written = write_text(out / "bundle", _PROMPT, length=400, temperature=0.6, artifact="onnx")
    console = result_console()
    console.rule("parity")
    tables.print_report(console, report)
    console.rule("artifacts")
    console.print(tables.artifacts(bundle.manifest))
    console.rule(f"written by {written['artifact']}, one step a character")
    typer.echo(_PROMPT + written["text"])
    console.rule("summary")
    typer.echo(f"model      {run.parameters:,} parameters, {run.steps} steps, {run.epochs:.1f} epochs in {run.seconds:.0f} s")
    typer.echo(f"loss       {run.validation_loss:.4f} nats/character ({run.split})")
    typer.echo(f"bundle     {out / 'bundle'}, {size(tables.total_bytes(bundle.manifest))}")
    typer.echo(f"verified   {'yes' if report.passed else 'NO'}")
    typer.echo(f"all of it  {time.perf_counter() - began:.0f} s")
    typer.echo(f"go on with edgernn generate {out / 'bundle'} --prompt {_PROMPT.strip()!r}")
    if not report.passed:
        raise typer.Exit(1)
