"""``edgernn train ask``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edgernn.cli.choices import read_share
from edgernn.cli.stack_options import stack_of, stacked
from edgernn.cli.train_options import Asked, trains

_data, _model, _loss = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in ("Pictures and questions", "The model", "The loss")
)


@trains("ask", minutes=4.0, learning_rate=3e-3)
@stacked(cell="gru", hidden=48)
def ask(
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoint, metrics, loss curve.")],
    data: Annotated[
        str, _data(help="JSON Lines of image, question and answer; or scenes, which are drawn.")
    ] = "scenes",
    images: Annotated[Path | None, _data(help="The pictures' folder, if not the file's.")] = None,
    scenes: Annotated[int, _data(help="How many scenes are drawn to train on.")] = 6000,
    on_missing: Annotated[str, _data(help="A picture that is not there: error or skip.")] = "error",
    on_unreadable: Annotated[
        str, _data(help="A picture that cannot be read: error or skip.")
    ] = "error",
    validation_fraction: Annotated[
        float,
        _data(parser=read_share, help="Share of pictures for validation, if the file names none."),
    ] = 0.1,
    minimum_count: Annotated[
        int, _data(help="Fewest occurrences of a word; rarer ones are <unk>.")
    ] = 2,
    most_answers: Annotated[int, _data(help="Most answers; rarer ones are left out.")] = 1000,
    join: Annotated[
        str, _model(help="How picture and question meet: attention, concatenate or multiply.")
    ] = "attention",
    encoder: Annotated[
        str, _model(help="small, compact, or resnet18, 34, 50, 101, 152.")
    ] = "small",
    image_size: Annotated[
        int | None,
        _model(
            help="Side of the pictures, pixels: a multiple of 8 (ResNets 32); default 64 (224)."
        ),
    ] = None,
    embedding: Annotated[int, _model(help="Width of a word's vector.")] = 32,
    joint: Annotated[int, _model(help="Width of what is joined, without attention.")] = 128,
    keys: Annotated[int, _model(help="Width of attention's keys.")] = 64,
    values: Annotated[int, _model(help="Width of what attention sees of a region.")] = 24,
    gist: Annotated[
        int, _model(help="Numbers by which a question says what counts of what was seen.")
    ] = 6,
    noise: Annotated[
        float, _model(min=0, help="Standard deviation of noise on these in training.")
    ] = 0.1,
    word_dropout: Annotated[
        float, _loss(parser=read_share, help="Share of the words that are replaced by <unk>.")
    ] = 0.1,
    label_smoothing: Annotated[
        float, _loss(parser=read_share, help="Share of a target spread over all answers.")
    ] = 0.2,
    **stack: Any,
) -> Asked:
    """Train a network that answers questions about a picture. Ctrl-C ends the run cleanly; --resume
    goes on as if it had not stopped.
    """
    from edgernn.contract import validated
    from edgernn.training.ask import AskSetup
    from edgernn.training.ask_examples import AskData
    from edgernn.training.ask_network import AskModel
    from edgernn.training.ask_objective import AskOptions

    found = validated(
        AskData,
        {"source": "data"},
        source=data,
        images=images,
        scenes=scenes,
        validation_fraction=validation_fraction,
        on_missing=on_missing,
        on_unreadable=on_unreadable,
    )
    model = validated(
        AskModel,
        join=join,
        encoder=encoder,
        image_size=(224 if encoder.startswith("resnet") else 64)
        if image_size is None
        else image_size,
        embedding=embedding,
        joint=joint,
        keys=keys,
        values=values,
        gist=gist,
        noise=noise,
        **stack_of(stack),
    )
    options = validated(AskOptions, word_dropout=word_dropout, label_smoothing=label_smoothing)
    setup = validated(
        AskSetup,
        model=model,
        options=options,
        minimum_count=minimum_count,
        most_answers=most_answers,
    )
    return found, setup
