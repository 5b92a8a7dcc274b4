"""A whole captioning run, as ``edgernn train captions`` does it: pictures and vocabulary, model,
loop, and what is left.

RUN/config.json, weights.safetensors,
    tokenizer.json, held_out.safetensors    the checkpoint, best on validation
RUN/training.safetensors                    the resumable state
RUN/pictures/                               the pictures, decoded once, with their captions
RUN/metrics.jsonl, loss.png                 how it went
RUN/gradients.json, gradients.png           how far gradients reach, where asked for
RUN/run.toml                                what the run was told: its options
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from edgernn.contract import Record, validated
from edgernn.data.pictures.picture_set import PictureSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models import checkpoint
from edgernn.models.captioner import Captioner, CaptionerConfig
from edgernn.models.image_encoder import image_encoder, load_encoder_weights
from edgernn.training.caption_corpus import PICTURES, CaptionData, prepare
from edgernn.training.caption_objective import CaptionOptions
from edgernn.training.captions import EVALUATION_PICTURES, CaptionTask
from edgernn.training.device import choose_device, mixed_precision
from edgernn.training.distributed import World
from edgernn.training.folder import refuse_existing
from edgernn.training.memory import naming_what_to_lower
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Reporter
from edgernn.training.run import Run
from edgernn.training.schedule import Budget
from edgernn.training.starting import new_run, resume_run

_LOWER = "--batch, --image-size, --hidden or --encoder"  # what needs memory


class CaptionSetup(Record):
    """What a captioning run is made of, besides the loop's options; saved with the run.

    Attributes:
        model: the model but for its vocabulary, which the captions decide.
        options: of the loss and the encoder.
        minimum_count: fewest occurrences of a word; rarer ones are ``<unk>``.
    """

    model: dict[str, Any] = Field(default_factory=dict)
    options: CaptionOptions = CaptionOptions()
    minimum_count: int = Field(default=2, ge=1)


def train_captions(
    data: CaptionData,
    out: Path,
    *,
    options: TrainOptions,
    setup: CaptionSetup | None = None,
    encoder_weights: Path | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
    tell: Callable[[str], None] = lambda line: None,
    settings: str | None = None,
    began: float | None = None,
) -> Run:
    """Train a captioner into the folder ``out``.

    Args:
        data: pictures and captions.
        out: a folder that holds no run yet.
        options: of the loop.
        setup: model and loss; the default is soft attention over a compact encoder.
        encoder_weights: a file to fill the image encoder from; its batch statistics are then kept.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        reporter: who hears of the run.
        tell: hears, one line each, how the pictures are prepared.
        settings: left in the folder as ``run.toml``: what the run was told, for whoever wants it
            again.
        began: when the command began, by ``time.perf_counter``; a budget of minutes counts from
            there.

    Raises:
        UsageError, DataError, CheckpointError, TrainingError, StorageError: see errors.py.
    """
    setup = setup or CaptionSetup()
    chosen = choose_device(device)
    config = validated(CaptionerConfig, vocabulary=1, **setup.model)
    config.contract()  # raises where the picture's size does not fit the encoder
    refuse_existing(out)
    with naming_what_to_lower(_LOWER):
        if encoder_weights is not None:  # before minutes are spent on pictures
            load_encoder_weights(image_encoder(config.encoder, config.image_size), encoder_weights)
            setup = setup.model_copy(
                update={"options": setup.options.model_copy(update={"pretrained": True})}
            )
    return new_run(
        out,
        options,
        setup,
        partial(_task, encoder_weights=encoder_weights),
        prepare=partial(
            prepare, data, out, config=config, minimum_count=setup.minimum_count, tell=tell
        ),
        data=out / PICTURES,
        lower=_LOWER,
        device=chosen,
        reporter=reporter,
        settings=settings,
        began=began,
    )


def resume_captions(
    out: Path,
    *,
    budget: Budget | None = None,
    threads: int | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> Run:
    """Go on with the run in ``out`` as if it had never stopped; a new ``budget`` lengthens or
    shortens it.

    Raises:
        CheckpointError, DataError, UsageError: see ``resume_run``.
    """
    return resume_run(
        out,
        CaptionSetup,
        _task,
        command="captions",
        data=out / PICTURES,
        lower=_LOWER,
        budget=budget,
        threads=threads,
        device=device,
        reporter=reporter,
    )


def _task(
    out: Path,
    options: TrainOptions,
    *,
    setup: CaptionSetup,
    here: World,
    device: torch.device,
    encoder_weights: Path | None = None,
) -> CaptionTask:
    tokenizer = Tokenizer.load(out / checkpoint.TOKENIZER)
    pictures = PictureSet.open(out / PICTURES)
    torch.manual_seed(options.seed)
    model = Captioner(
        validated(CaptionerConfig, vocabulary=tokenizer.vocabulary_size, **setup.model)
    )
    if encoder_weights is not None:
        load_encoder_weights(model.encoder, encoder_weights)
    model.restrict()
    if here.rank:
        # dropout differs between processes; weights do not
        torch.manual_seed(options.seed + here.rank)
    about = {
        "corpus": pictures.source,
        "split": (
            f"{min(len(pictures.split('validation')), EVALUATION_PICTURES)} validation pictures of "
            f"{pictures.source}"
        ),
        "train_pictures": len(pictures.split("train")),
        "options": options.model_dump(),
        "captions": setup.options.model_dump(),
    }
    return CaptionTask(
        model.to(device),
        pictures,
        tokenizer=tokenizer,
        options=setup.options,
        decoding=model.config.decoding(tokenizer),
        world=here,
        batch=options.batch,
        seed=options.seed,
        mixed=mixed_precision(options.mixed, device),
        folder=out,
        about=about,
    )
