"""A tiny captioner, made without training, and pictures and captions to measure it on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from edgernn.data.pictures import scenes
from edgernn.data.pictures.caption_ids import encode_caption, pad_captions
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.captioner import Captioner, CaptionerConfig
from edgernn.models.checkpoint import Checkpoint

SIZE, PICTURES, LENGTH = 32, 8, 12


def caption_checkpoint(*, seed: int = 3, **options: Any) -> Checkpoint:
    """Return a seeded captioner with the words of drawn scenes, and a held-out sample of them."""
    examples = list(scenes.examples("validation", PICTURES, size=SIZE))
    lines = [f"{caption}\n" for example in examples for caption in example.captions]
    tokenizer = Tokenizer.build(lines, "caption", minimum_count=1)
    captions = pad_captions([encode_caption(tokenizer, line.strip()) for line in lines], LENGTH)
    evaluation = {
        "image": np.stack([example.picture for example in examples]),
        "captions": captions.reshape(PICTURES, -1, captions.shape[1]),
    }
    return Checkpoint(
        make_captioner(tokenizer, seed=seed, **options), tokenizer, evaluation=evaluation
    )


def make_captioner(tokenizer: Tokenizer, *, seed: int = 3, **options: Any) -> Captioner:
    """Return a tiny captioner, no parameter and no batch statistic zero, whose captions differ from
    picture to picture.
    """
    sizes = {"embedding": 6, "hidden": 8, "keys": 5, "image_size": SIZE, "length": LENGTH}
    torch.manual_seed(seed)
    config = CaptionerConfig.model_validate(
        {"vocabulary": tokenizer.vocabulary_size, **sizes, **options}
    )
    model = Captioner(config)
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.3 if parameter.ndim == 1 else 2 / parameter[0].numel() ** 0.5
            parameter.add_(spread * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
    return model.eval()
