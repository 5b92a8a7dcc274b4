"""``edgernn train translate``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edgernn.cli.choices import cell_names, completing, one_of, pair_names, read_share
from edgernn.cli.stack_options import stack_of, stacked
from edgernn.cli.train_options import Asked, trains

_data, _model, _loss = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in ("Pairs of texts", "The model", "The loss")
)


@trains("translate", minutes=4.0, learning_rate=3e-3)
@stacked(hidden=128)
def translate(
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoint, metrics, loss curve.")],
    data: Annotated[
        str,
        _data(
            help="A file of lines, a source, a tab and its target; built in: "
            f"{one_of(pair_names())}",
            **completing(pair_names),
        ),
    ] = "both",
    pairs: Annotated[int, _data(help="How many built-in pairs are made to train on.")] = 60_000,
    validation_fraction: Annotated[
        float, _data(parser=read_share, help="Share of a file's sources for validation.")
    ] = 0.1,
    encoder: Annotated[int, _model(help="Width of each direction of the encoder.")] = 64,
    encoder_cell: Annotated[
        str | None,
        _model(
            help="Of the encoder, one that torch has a layer of; default --cell, or lstm.",
            **completing(cell_names),
        ),
    ] = None,
    embedding: Annotated[int, _model(help="Width of a character's vector.")] = 48,
    attention: Annotated[
        bool, _model("--attention/--no-attention", help="Whether each step looks at the source.")
    ] = True,
    shared: Annotated[
        bool, _model("--shared", help="The encoder has the weights of the step.")
    ] = False,
    label_smoothing: Annotated[
        float, _loss(parser=read_share, help="Share of a character spread over all.")
    ] = 0.0,
    **stack: Any,
) -> Asked:
    """Train a translator, character by character. Ctrl-C ends the run cleanly; --resume goes on as
    if it had not stopped.
    """
    from edgernn.contract import validated
    from edgernn.models.translator import TranslatorShape
    from edgernn.training.translate import TranslateSetup
    from edgernn.training.translate_examples import TranslateData

    found = validated(
        TranslateData,
        {"source": "data"},
        source=data,
        pairs=pairs,
        validation_fraction=validation_fraction,
    )
    model = validated(
        TranslatorShape,
        encoder=encoder,
        encoder_cell=encoder_cell,
        embedding=embedding,
        attention=attention,
        shared=shared,
        **stack_of(stack),
    )
    return found, validated(TranslateSetup, model=model, label_smoothing=label_smoothing)
