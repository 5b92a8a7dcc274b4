"""``edgernn train``."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edgernn.cli import (
    train_ask,
    train_captions,
    train_classify,
    train_glimpse,
    train_paint,
    train_tag,
    train_translate,
)
from edgernn.cli.choices import (
    completing,
    device_names,
    one_of,
    read_share,
    text_names,
    token_names,
)
from edgernn.cli.config import Config, settings_of
from edgernn.cli.output import progress_console
from edgernn.cli.stack_options import stacked
from edgernn.cli.training import budget_of, finish, options_of, refuse_changes, training

app = typer.Typer(
    help="Train a model on your own data, or on what is built in.", no_args_is_help=True
)

_DEFAULT_MINUTES = 3.0
_data, _model, _budget, _course = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in ("The text", "The model", "The budget", "Optimisation")
)


@app.callback()
def group() -> None:
    """Train a model on your own data, or on what is built in."""


app.command("captions")(train_captions.captions)
app.command("ask")(train_ask.ask)
app.command("classify")(train_classify.classify)
app.command("translate")(train_translate.translate)
app.command("tag")(train_tag.tag)
app.command("glimpse")(train_glimpse.glimpse)
app.command("paint")(train_paint.paint)


@app.command("text")
@training()
@stacked(hidden=256, layers=2)
def text(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoint, metrics, loss curve.")],
    data: Annotated[
        str,
        _data(
            help=f"A text file, a folder, - for standard input; built in: {one_of(text_names())}",
            **completing(text_names),
        ),
    ] = "python-docs",
    glob: Annotated[str, _data(help="Which files of a folder.")] = "**/*.txt",
    validation: Annotated[str | None, _data(help="A text of its own for validation.")] = None,
    validation_fraction: Annotated[
        float, _data(parser=read_share, help="Else: the last share of the text.")
    ] = 0.1,
    tokens: Annotated[
        str, _data(help="char, byte, word or bpe.", **completing(token_names))
    ] = "char",
    vocabulary: Annotated[int | None, _data(help="Most tokens of word and bpe.")] = None,
    minimum_count: Annotated[int, _data(help="Fewest occurrences of a word.")] = 2,
    embedding: Annotated[
        int | None, _model(help="Width of a token vector; default 64, tied: hidden.")
    ] = None,
    tied: Annotated[bool, _model("--tied", help="One matrix for embedding and head.")] = False,
    learned_state: Annotated[
        bool, _model("--learned-state", help="Learn the first state.")
    ] = False,
    minutes: Annotated[float | None, _budget(help="Minutes of training (default 3).")] = None,
    steps: Annotated[int | None, _budget(help="Optimiser steps.")] = None,
    epochs: Annotated[float | None, _budget(help="Passes over the text.")] = None,
    evaluations: Annotated[int, _budget(help="Validation measurements in a run.")] = 8,
    patience: Annotated[
        int, _budget(help="Stop after so many without a better loss; 0 never.")
    ] = 5,
    batch: Annotated[int, _course(help="Rows of a batch, over all processes.")] = 32,
    chunk: Annotated[int, _course(help="Steps through which gradients flow.")] = 64,
    learning_rate: Annotated[float, _course(help="The largest learning rate.")] = 4e-3,
    weight_decay: Annotated[float, _course(help="Weight decay of matrices.")] = 0.01,
    clip: Annotated[float, _course(help="Largest norm of the gradient.")] = 1.0,
    state_penalty: Annotated[
        float, _course(help="Weight of what keeps states within ±3; 0: they may count.")
    ] = 0.01,
    vanishing_penalty: Annotated[
        float, _course(help="Weight of what keeps gradients from vanishing; slow.")
    ] = 0.0,
    gradients: Annotated[
        bool,
        _course("--gradients", help="Draw how far gradients reach: gradients.png."),
    ] = False,
    mixed: Annotated[str, _course(help="bfloat16 products: auto, on or off.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of weights, dropout and samples.")] = 0,
    device: Annotated[
        str, typer.Option(help="auto, cuda, mps or cpu.", **completing(device_names))
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; by default some are tried, the fastest kept.")
    ] = None,
    config: Config = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    **stack: Any,
) -> None:
    """Train a recurrent language model. Ctrl-C ends the run cleanly; --resume goes on as if it had
    not stopped.
    """
    began = time.perf_counter()  # before torch is loaded, which the minutes count, too
    from edgernn.contract import validated
    from edgernn.training import run_text
    from edgernn.training.terminal import Terminal

    reporter = Terminal(progress_console())
    if resume:
        refuse_changes(context)
        budget = budget_of(minutes=minutes, steps=steps, epochs=epochs)
        run = run_text.resume_text(
            out, budget=budget, threads=threads, device=device, reporter=reporter
        )
        finish(run, "text", as_json=as_json)
        return
    model = stack | {
        "tied": tied,
        "embedding": (stack["hidden"] if tied else 64) if embedding is None else embedding,
        "learned_initial_state": learned_state,
    }
    setup = validated(
        run_text.TextSetup,
        tokens=tokens,
        vocabulary=vocabulary,
        minimum_count=minimum_count,
        validation_fraction=validation_fraction,
        state_penalty=state_penalty,
        model=model,
    )
    options = options_of(context, default_minutes=_DEFAULT_MINUTES)
    run = run_text.train_text(
        data,
        out,
        options=options,
        setup=setup,
        glob=glob,
        validation=validation,
        device=device,
        reporter=reporter,
        settings=settings_of(context),
        began=began,
    )
    finish(run, "text", as_json=as_json)
