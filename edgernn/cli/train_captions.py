"""``edgernn train captions``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgernn.cli.choices import completing, conditioning_names, read_share
from edgernn.cli.stack_options import stack_of, stacked
from edgernn.cli.train_options import Asked, Runs, trains

if TYPE_CHECKING:
    from edgernn.training.caption_corpus import CaptionData
    from edgernn.training.run import Run

_DEFAULT_MINUTES = 4.0
_data, _model, _loss = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in (
        "Pictures and captions",
        "The model",
        "The loss and the encoder",
    )
)


def _of_captions(command: str) -> Runs:
    """Return how a run on captions begins and goes on."""
    from edgernn.training.run_captions import resume_captions, train_captions

    def train(data: tuple[CaptionData, Path | None], out: Path, **told: Any) -> Run:
        pictures, weights = data
        return train_captions(pictures, out, encoder_weights=weights, **told)

    return Runs(train, resume_captions)


@trains(
    "captions",
    minutes=_DEFAULT_MINUTES,
    without=("vanishing_penalty",),
    runs=_of_captions,
    patience=5,
)
@stacked(hidden=192, dropout=0.3)
def captions(
    out: Annotated[Path, typer.Option(help="The run's folder: checkpoint, metrics, loss curve.")],
    data: Annotated[
        str,
        _data(help="A caption file (COCO, Karpathy, Flickr8k, CSV, JSONL), its folder, or scenes."),
    ] = "scenes",
    images: Annotated[
        Path | None, _data(help="The pictures' folder, if not the caption file's.")
    ] = None,
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
    conditioning: Annotated[
        str,
        _model(
            help="soft-attention, hard-attention, first-token, initial-state or every-step.",
            **completing(conditioning_names),
        ),
    ] = "soft-attention",
    encoder: Annotated[
        str, _model(help="compact, small, or resnet18, 34, 50, 101, 152.")
    ] = "compact",
    encoder_weights: Annotated[
        Path | None, _model(help="Weights for the encoder: .safetensors or .pth.")
    ] = None,
    image_size: Annotated[
        int | None,
        _model(
            help="Side of the pictures, pixels: a multiple of 8 (ResNets 32); default 64 (224)."
        ),
    ] = None,
    embedding: Annotated[int, _model(help="Width of a word's vector.")] = 128,
    keys: Annotated[int, _model(help="Width of attention's keys.")] = 64,
    length: Annotated[int, _model(help="Most words of a caption.")] = 20,
    freeze_encoder: Annotated[
        float | None,
        _loss(
            parser=read_share,
            help=(
                "Share of the run before the encoder is trained; default 0, with weights 1 (never)."
            ),
        ),
    ] = None,
    encoder_rate: Annotated[
        float, _loss(help="The encoder's learning rate, as a multiple of the others'.")
    ] = 1.0,
    word_dropout: Annotated[
        float, _loss(parser=read_share, help="Share of the words fed that are replaced by <unk>.")
    ] = 0.1,
    label_smoothing: Annotated[
        float, _loss(parser=read_share, help="Share of a target spread over all words.")
    ] = 0.1,
    scheduled_sampling: Annotated[
        float, _loss(parser=read_share, help="Share of the model's own words fed at the end.")
    ] = 0.0,
    attention_penalty: Annotated[
        float, _loss(help="Weight of the doubly stochastic penalty.")
    ] = 0.0,
    **stack: Any,
) -> Asked:
    """Train an image captioner. Ctrl-C ends the run cleanly; --resume goes on as if it had not
    stopped.
    """
    from edgernn.contract import validated
    from edgernn.training import caption_corpus
    from edgernn.training.caption_objective import CaptionOptions
    from edgernn.training.run_captions import CaptionSetup

    found = validated(
        caption_corpus.CaptionData,
        {"source": "data"},
        source=data,
        images=images,
        validation_fraction=validation_fraction,
        on_missing=on_missing,
        on_unreadable=on_unreadable,
    )
    model = stack_of(stack) | {"conditioning": conditioning, "encoder": encoder}
    model |= {"embedding": embedding, "keys": keys, "length": length}
    model["image_size"] = (
        (224 if encoder.startswith("resnet") else 64) if image_size is None else image_size
    )
    loss = validated(
        CaptionOptions,
        {"frozen": "freeze_encoder"},
        word_dropout=word_dropout,
        label_smoothing=label_smoothing,
        scheduled_sampling=scheduled_sampling,
        attention_penalty=attention_penalty,
        frozen=freeze_encoder if freeze_encoder is not None else float(encoder_weights is not None),
        encoder_rate=encoder_rate,
    )
    setup = validated(CaptionSetup, model=model, options=loss, minimum_count=minimum_count)
    return (found, encoder_weights), setup
