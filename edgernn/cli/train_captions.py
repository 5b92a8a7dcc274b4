"""``edgernn train captions``."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edgernn.cli.choices import (
    completing,
    conditioning_names,
    device_names,
    read_share,
)
from edgernn.cli.config import Config, settings_of
from edgernn.cli.output import progress_console, tell
from edgernn.cli.stack_options import stack_of, stacked
from edgernn.cli.training import budget_of, finish, options_of, refuse_changes, training

_DEFAULT_MINUTES = 4.0
_data, _model, _loss, _budget, _course = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in (
        "Pictures and captions",
        "The model",
        "The loss and the encoder",
        "The budget",
        "Optimisation",
    )
)


@training()
@stacked(hidden=192, dropout=0.3)
def captions(
    context: typer.Context,
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
        int | None, _model(help="Side of the pictures, pixels; default 64, ResNets 224.")
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
    minutes: Annotated[float | None, _budget(help="Minutes of training (default 4).")] = None,
    steps: Annotated[int | None, _budget(help="Optimiser steps.")] = None,
    epochs: Annotated[float | None, _budget(help="Passes over the pictures.")] = None,
    evaluations: Annotated[int, _budget(help="Validation measurements in a run.")] = 8,
    patience: Annotated[
        int, _budget(help="Stop after so many without a better CIDEr-D; 0 never.")
    ] = 5,
    batch: Annotated[int, _course(help="Pictures of a batch, over all processes.")] = 64,
    learning_rate: Annotated[float, _course(help="The largest learning rate.")] = 2e-3,
    weight_decay: Annotated[float, _course(help="Weight decay of matrices.")] = 0.01,
    clip: Annotated[float, _course(help="Largest norm of the gradient.")] = 1.0,
    mixed: Annotated[str, _course(help="bfloat16 products: auto, on or off.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of weights, order, dropout and samples.")] = 0,
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
    """Train an image captioner. Ctrl-C ends the run cleanly; --resume goes on as if it had not
    stopped.
    """
    began = time.perf_counter()  # before torch is loaded, which the minutes count, too
    from edgernn.contract import validated
    from edgernn.training import caption_corpus, run_captions
    from edgernn.training.caption_objective import CaptionOptions
    from edgernn.training.terminal import Terminal

    reporter = Terminal(progress_console())
    if resume:
        refuse_changes(context)
        budget = budget_of(minutes=minutes, steps=steps, epochs=epochs)
        run = run_captions.resume_captions(
            out, budget=budget, threads=threads, device=device, reporter=reporter
        )
        finish(run, "captions", as_json=as_json)
        return
    found = validated(
        caption_corpus.CaptionData,
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
        word_dropout=word_dropout,
        label_smoothing=label_smoothing,
        scheduled_sampling=scheduled_sampling,
        attention_penalty=attention_penalty,
        frozen=freeze_encoder if freeze_encoder is not None else float(encoder_weights is not None),
        encoder_rate=encoder_rate,
    )
    options = options_of(context, default_minutes=_DEFAULT_MINUTES)
    run = run_captions.train_captions(
        found,
        out,
        options=options,
        setup=validated(
            run_captions.CaptionSetup, model=model, options=loss, minimum_count=minimum_count
        ),
        encoder_weights=encoder_weights,
        device=device,
        reporter=reporter,
        tell=tell,
        settings=settings_of(context),
        began=began,
    )
    finish(run, "captions", as_json=as_json)
