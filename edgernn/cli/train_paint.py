"""``edgernn train paint``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from edgernn.cli.choices import read_share
from edgernn.cli.stack_options import stack_of, stacked
from edgernn.cli.train_options import Asked, trains

_data, _model, _loss = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in ("The pictures", "The model", "The loss")
)
_STEPS = {"pixels": 8, "strokes": 12}  # of a picture
_NOISE = {"pixels": 8, "strokes": 2}  # numbers of a step


@trains("paint", minutes=6.0, batch=64, learning_rate=4e-3, clip=5.0, weight_decay=0.0)
@stacked(hidden=128)
def paint(
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoint, metrics, loss curve.")],
    data: Annotated[
        str,
        _data(help="A folder with a folder of pictures for each label, or npz; digits: built in."),
    ] = "digits",
    picture_size: Annotated[int, _data(help="Side of a picture, pixels.")] = 16,
    data_seed: Annotated[int, _data(help="Of how digits are drawn, of what is held out.")] = 0,
    validation_fraction: Annotated[
        float, _data(parser=read_share, help="Share of your own pictures for validation.")
    ] = 0.1,
    form: Annotated[
        Literal["pixels", "strokes"],
        _model(help="What a step adds to the canvas: all pixels, or a line of a pen."),
    ] = "pixels",
    noise: Annotated[
        int | None,
        _model(help="Numbers of noise that a step takes.", show_default="8; 2 of strokes"),
    ] = None,
    embedding: Annotated[int, _model(help="Width of what a label is encoded as.")] = 16,
    paint_steps: Annotated[
        int | None, _loss(help="Steps of a picture.", show_default="8; 12 of strokes")
    ] = None,
    inference: Annotated[
        int, _loss(help="Width of the network that infers noise; it is not exported.")
    ] = 128,
    divergence: Annotated[float, _loss(help="Weight of the noise's divergence.")] = 1.0,
    **stack: Any,
) -> Asked:
    """Train a network that paints a picture of a label step by step, from noise. Ctrl-C ends the
    run cleanly; --resume goes on as if it had not stopped.
    """
    from edgernn.contract import validated
    from edgernn.training.paint import PaintSetup
    from edgernn.training.paint_examples import PaintData
    from edgernn.training.paint_network import PaintModel
    from edgernn.training.paint_objective import PaintOptions

    found = validated(
        PaintData,
        {"source": "data", "side": "picture_size", "seed": "data_seed"},
        source=data,
        side=picture_size,
        seed=data_seed,
        validation_fraction=validation_fraction,
    )
    steps = _STEPS[form] if paint_steps is None else paint_steps
    model = validated(
        PaintModel,
        form=form,
        noise=_NOISE[form] if noise is None else noise,
        embedding=embedding,
        **stack_of(stack),
    )
    options = validated(
        PaintOptions,
        {"steps": "paint_steps"},
        steps=steps,
        inference=inference,
        divergence=divergence,
    )
    return found, validated(PaintSetup, model=model, options=options)
