"""``edgernn train tag``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edgernn.cli.choices import read_share
from edgernn.cli.stack_options import stack_of, stacked
from edgernn.cli.train_options import Asked, trains
from edgernn.errors import UsageError

_data, _model = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("The sequences", "The model")
)


@trains("tag", minutes=4.0, batch=32, learning_rate=3e-3)
@stacked(cell="gru")
def tag(
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoint, metrics, loss curve.")],
    data: Annotated[
        str,
        _data(
            help="An npz of frames and labels, a folder of pictures with labels.csv, a file of "
            "words and tags in columns; or clips or sentences, which are built in."
        ),
    ] = "clips",
    validation: Annotated[Path | None, _data(help="Sequences of their own for validation.")] = None,
    validation_fraction: Annotated[
        float, _data(parser=read_share, help="Else: a share of the sequences.")
    ] = 0.1,
    size: Annotated[
        int | None, _data(help="Pixels on a side to which a folder's pictures are made.")
    ] = None,
    longest: Annotated[
        int, _data(help="Longer sequences are cut into pieces of these steps.")
    ] = 64,
    minimum_count: Annotated[int, _data(help="Fewest occurrences of a word.")] = 2,
    channels: Annotated[
        str | None,
        _model(
            help="Of the convolutions over a frame, each halves it: 12,24; default by its size."
        ),
    ] = None,
    features: Annotated[int, _model(help="Width of a frame's vector.")] = 64,
    embedding: Annotated[int, _model(help="Width of a word's vector.")] = 32,
    delay: Annotated[
        int, _model(help="Give the label of a step so many steps later, when more was seen.")
    ] = 0,
    **stack: Any,
) -> Asked:
    """Train a tagger: a label for each frame of a clip, or each word of a sentence. Ctrl-C ends the
    run cleanly; --resume goes on as if it had not stopped.
    """
    from edgernn.contract import validated
    from edgernn.training.tag import TagSetup
    from edgernn.training.tag_sources import TagData

    found = validated(
        TagData,
        data=data,
        validation=validation,
        validation_fraction=validation_fraction,
        size=size,
        longest=longest,
        minimum_count=minimum_count,
    )
    setup = validated(
        TagSetup,
        channels=None if channels is None else _widths(channels),
        features=features,
        embedding=embedding,
        delay=delay,
        **stack_of(stack),
    )
    return found, setup


def _widths(text: str) -> tuple[int, ...]:
    """Return the numbers of ``12,24``."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--channels is {text!r}, expected whole numbers with commas, as 12,24"
        ) from None
