"""``edgernn train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn.cli.output import progress_console, tell
from edgernn.errors import UsageError

if TYPE_CHECKING:
    from edgernn.training.run_text import TextRun
    from edgernn.training.schedule import Budget

app = typer.Typer(help="Train a model on your own data, or on what is built in.", no_args_is_help=True)

_ALLOWED_WITH_RESUME = {"out", "resume", "minutes", "steps", "epochs", "device", "as_json"}
_DEFAULT_MINUTES = 3.0


@app.callback()
def group() -> None:
    """Train a model on your own data, or on what is built in."""


@app.command("text")
def text(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoint, metrics, loss curve.")],
    data: Annotated[str, typer.Option(help="A text file, a folder, - for standard input, or python-docs.")] = "python-docs",
    glob: Annotated[str, typer.Option(help="Which files of a folder.")] = "**/*.txt",
    validation: Annotated[str | None, typer.Option(help="A text of its own for validation.")] = None,
    validation_fraction: Annotated[float, typer.Option(help="Else: the last share of the text.")] = 0.1,
    tokens: Annotated[str, typer.Option(help="char, byte, word or bpe.")] = "char",
    vocabulary: Annotated[int | None, typer.Option(help="Most tokens of word and bpe.")] = None,
    minimum_count: Annotated[int, typer.Option(help="Fewest occurrences of a word.")] = 2,
    cell: Annotated[str, typer.Option(help="lstm, gru, rnn or rnn_relu.")] = "lstm",
    hidden: Annotated[int, typer.Option(help="Width of a layer.")] = 256,
    layers: Annotated[int, typer.Option(help="Layers, 1 to 5.")] = 2,
    embedding: Annotated[int | None, typer.Option(help="Width of a token vector; default 64, tied: hidden.")] = None,
    dropout: Annotated[float, typer.Option(help="Share of values dropped in training.")] = 0.0,
    tied: Annotated[bool, typer.Option("--tied", help="One matrix for embedding and head.")] = False,
    learned_state: Annotated[bool, typer.Option("--learned-state", help="Learn the first state.")] = False,
    minutes: Annotated[float | None, typer.Option(help="Budget: minutes of training (default 3).")] = None,
    steps: Annotated[int | None, typer.Option(help="Budget: optimiser steps.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Budget: passes over the text.")] = None,
    batch: Annotated[int, typer.Option(help="Rows of a batch, over all processes.")] = 32,
    chunk: Annotated[int, typer.Option(help="Steps through which gradients flow.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="The largest learning rate.")] = 4e-3,
    weight_decay: Annotated[float, typer.Option(help="Weight decay of matrices.")] = 0.01,
    clip: Annotated[float, typer.Option(help="Largest norm of the gradient.")] = 1.0,
    evaluations: Annotated[int, typer.Option(help="Validation measurements in a run.")] = 8,
    patience: Annotated[int, typer.Option(help="Stop after so many without a better loss; 0 never.")] = 5,
    seed: Annotated[int, typer.Option(help="Of weights, dropout and samples.")] = 0,
    mixed: Annotated[str, typer.Option(help="bfloat16 products: auto, on or off.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a recurrent language model. Ctrl-C ends the run cleanly; --resume goes on as if it had not stopped."""
    from edgernn.contract import validated
    from edgernn.training import run_text
    from edgernn.training.options import TrainOptions
    from edgernn.training.progress import Terminal

    budget = _budget(minutes=minutes, steps=steps, epochs=epochs)
    reporter = Terminal(progress_console())
    if resume:
        _refuse_changes(context)
        _finish(run_text.resume_text(out, budget=budget, device=device, reporter=reporter), as_json=as_json)
        return
    model = {"cell": cell, "hidden": hidden, "layers": layers, "dropout": dropout, "tied": tied}
    model |= {"embedding": embedding or (hidden if tied else 64), "learned_initial_state": learned_state}
    setup = validated(
        run_text.TextSetup,
        tokens=tokens,
        vocabulary=vocabulary,
        minimum_count=minimum_count,
        validation_fraction=validation_fraction,
        model=model,
    )
    options = validated(
        TrainOptions,
        budget=budget or _budget(minutes=_DEFAULT_MINUTES, steps=None, epochs=None),
        batch=batch,
        chunk=chunk,
        peak_rate=learning_rate,
        weight_decay=weight_decay,
        clip=clip,
        evaluations=evaluations,
        patience=patience,
        seed=seed,
        mixed=mixed,
    )
    run = run_text.train_text(
        data, out, options=options, setup=setup, glob=glob, validation=validation, device=device, reporter=reporter
    )
    _finish(run, as_json=as_json)


def _budget(*, minutes: float | None, steps: int | None, epochs: float | None) -> Budget | None:
    from edgernn.training.schedule import Budget

    given = {unit: n for unit, n in (("minutes", minutes), ("steps", steps), ("epochs", epochs)) if n is not None}
    if len(given) > 1:
        raise UsageError(f"give one budget, not {' and '.join('--' + unit for unit in given)}")
    for unit, amount in given.items():
        if amount <= 0:
            raise UsageError(f"--{unit} is {amount:g}, expected above 0")
        return Budget.model_validate({"unit": unit, "amount": amount})
    return None


def _refuse_changes(context: typer.Context) -> None:
    """A resumed run keeps its options; only its budget and device may be given anew."""
    given = [name for name in context.params if _given(context, name) and name not in _ALLOWED_WITH_RESUME]
    if given:
        shown = ", ".join("--" + name.replace("_", "-") for name in given)
        raise UsageError(f"{shown} cannot change when a run is resumed; leave it out, or start a new run in another --out")


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _finish(run: TextRun, *, as_json: bool) -> None:
    """Print what was reached, once for all processes; leave with 130 if Ctrl-C ended the run."""
    if not run.leads:
        return
    result = {
        "run": str(run.folder),
        "validation_loss": run.validation_loss,
        "split": run.split,
        "steps": run.steps,
        "epochs": run.epochs,
        "seconds": run.seconds,
        "parameters": run.parameters,
        "interrupted": run.interrupted,
    }
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        loss = "not measured yet" if run.validation_loss is None else f"{run.validation_loss:.4f} nats/token ({run.split})"
        typer.echo(
            f"{run.folder}: {run.parameters:,} parameters, {run.steps} steps, {run.epochs:.1f} epochs in {run.seconds:.0f} s; "
            f"best validation loss {loss}"
        )
    if run.interrupted:
        tell(f"interrupted and saved; go on with: edgernn train text --out {run.folder} --resume")
        raise typer.Exit(130)
