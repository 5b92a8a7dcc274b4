"""``edgernn train glimpse``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edgernn.cli.choices import read_share
from edgernn.cli.stack_options import stack_of, stacked
from edgernn.cli.train_options import Asked, trains
from edgernn.errors import UsageError

_data, _model, _loss = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("The pictures", "The model", "Looks")
)


@trains("glimpse", minutes=6.0, batch=128, learning_rate=3e-3, clip=5.0, weight_decay=0.0)
@stacked(cell="gru", hidden=128)
def glimpse(
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoint, metrics, loss curve.")],
    data: Annotated[
        str,
        _data(help="A folder with a folder of pictures for each label, or npz; digits: built in."),
    ] = "digits",
    pictures: Annotated[int, _data(help="How many are made of the built-in digits.")] = 60_000,
    picture_size: Annotated[int, _data(help="Side of a picture, pixels.")] = 32,
    pieces: Annotated[int, _data(help="Pieces of other digits around a built-in digit.")] = 4,
    data_seed: Annotated[int, _data(help="Of what is made, and of what is held out.")] = 0,
    validation_fraction: Annotated[
        float, _data(parser=read_share, help="Share of your own pictures for validation.")
    ] = 0.1,
    crop: Annotated[int, _model(help="Samples along a side of a crop.")] = 12,
    strides: Annotated[
        str, _model(help="Pixels between the samples of each crop, finest first.")
    ] = "1,3",
    looks: Annotated[int, _loss(help="Looks at each picture.")] = 6,
    spread: Annotated[
        float, _loss(help="How far from its mean a look goes at first, halves of a picture.")
    ] = 0.4,
    last_spread: Annotated[float, _loss(help="And how far at the end of training.")] = 0.1,
    location_weight: Annotated[float, _loss(help="Weight of the loss of where to look.")] = 0.05,
    **stack: Any,
) -> Asked:
    """Train a network that names what a picture shows after a few looks at parts of it. Ctrl-C ends
    the run cleanly; --resume goes on as if it had not stopped.
    """
    from edgernn.contract import validated
    from edgernn.training.glimpse import GlimpseSetup
    from edgernn.training.glimpse_examples import GlimpseData
    from edgernn.training.glimpse_network import GlimpseModel
    from edgernn.training.glimpse_objective import GlimpseOptions

    found = validated(
        GlimpseData,
        {"source": "data", "side": "picture_size", "seed": "data_seed"},
        source=data,
        pictures=pictures,
        side=picture_size,
        pieces=pieces,
        seed=data_seed,
        validation_fraction=validation_fraction,
    )
    model = validated(
        GlimpseModel, {"side": "crop"}, side=crop, strides=_strides(strides), **stack_of(stack)
    )
    options = validated(
        GlimpseOptions,
        {"weight": "location_weight"},
        looks=looks,
        spread=spread,
        last_spread=last_spread,
        weight=location_weight,
    )
    return found, validated(GlimpseSetup, model=model, options=options)


def _strides(text: str) -> tuple[int, ...]:
    """Read ``1,3``."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"--strides is {text!r}, expected whole numbers with commas, as 1,3")
    return tuple(map(int, parts))
