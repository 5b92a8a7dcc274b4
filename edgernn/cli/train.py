"""``edgernn train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgernn.cli import train_captions
from edgernn.cli.output import progress_console
from edgernn.cli.training import budget_of, finish, options_of, refuse_changes

app = typer.Typer(help="Train a model on your own data, or on what is built in.", no_args_is_help=True)

_DEFAULT_MINUTES = 3.0


@app.callback()
def group() -> None:
    """Train a model on your own data, or on what is built in."""


app.command("captions")(train_captions.captions)


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
    from edgernn.training.progress import Terminal

    reporter = Terminal(progress_console())
    if resume:
        refuse_changes(context)
        budget = budget_of(minutes=minutes, steps=steps, epochs=epochs)
        finish(run_text.resume_text(out, budget=budget, device=device, reporter=reporter), "text", as_json=as_json)
        return
    model = {"cell": cell, "hidden": hidden, "layers": layers, "dropout": dropout, "tied": tied}
    model |= {"embedding": (hidden if tied else 64) if embedding is None else embedding, "learned_initial_state": learned_state}
    setup = validated(
        run_text.TextSetup,
        tokens=tokens,
        vocabulary=vocabulary,
        minimum_count=minimum_count,
        validation_fraction=validation_fraction,
        model=model,
    )
    options = options_of(context, default_minutes=_DEFAULT_MINUTES)
    run = run_text.train_text(
        data, out, options=options, setup=setup, glob=glob, validation=validation, device=device, reporter=reporter
    )
    finish(run, "text", as_json=as_json)
