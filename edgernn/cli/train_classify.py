"""``edgernn train classify``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edgernn.cli.choices import completing, read_share
from edgernn.cli.stack_options import stack_of, stacked
from edgernn.cli.train_options import Asked, trains

_DEFAULT_MINUTES = 2.0
_data, _model = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("The examples", "The model")
)


@trains("classify", minutes=_DEFAULT_MINUTES, learning_rate=4e-3)
@stacked()
def classify(
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoint, metrics, loss curve.")],
    data: Annotated[
        str,
        _data(help="reviews, sensor-events, or a file: csv, tsv, jsonl of texts, npz of frames."),
    ] = "reviews",
    text_column: Annotated[
        str | None, _data(help="The column of texts; default found by its name.")
    ] = None,
    label_column: Annotated[
        str | None, _data(help="The column of labels; default found by its name.")
    ] = None,
    validation: Annotated[Path | None, _data(help="A file of its own for validation.")] = None,
    validation_fraction: Annotated[
        float, _data(parser=read_share, help="Else: the share of the examples of each label.")
    ] = 0.1,
    tokens: Annotated[
        str, _data(help="Of texts: word or char.", **completing(lambda: ["word", "char"]))
    ] = "word",
    minimum_count: Annotated[int, _data(help="Fewest occurrences of a word.")] = 2,
    longest: Annotated[int, _data(help="Tokens of a text, or frames; the rest is cut.")] = 512,
    embedding: Annotated[int, _model(help="Width of a token vector.")] = 32,
    running: Annotated[
        float,
        _model(parser=read_share, help="Share of the loss that all steps have, not the last."),
    ] = 0.2,
    smoothing: Annotated[
        float, _model(parser=read_share, help="Share of a target spread over all labels.")
    ] = 0.0,
    **stack: Any,
) -> Asked:
    """Train a classifier of texts, or of clips of frames. Ctrl-C ends the run cleanly; --resume
    goes on as if it had not stopped.
    """
    from edgernn.contract import validated
    from edgernn.training.classify import ClassifyData, ClassifySetup

    where = validated(
        ClassifyData,
        {"source": "data"},
        source=data,
        text_column=text_column,
        label_column=label_column,
        validation=validation,
        validation_fraction=validation_fraction,
    )
    setup = validated(
        ClassifySetup,
        tokens=tokens,
        minimum_count=minimum_count,
        longest=longest,
        embedding=embedding,
        running=running,
        smoothing=smoothing,
        **stack_of(stack),
    )
    return where, setup
