"""The checkpoint folder: a trained model with its vocabulary, in safetensors and JSON, nothing pickled.

    config.json           the model's family and configuration, and a summary of how it was trained
    weights.safetensors   the parameters and kept buffers under the model's own names (a tied matrix once)
    tokenizer.json        the vocabulary, in the Hugging Face tokenizers format
    held_out.safetensors  from the validation part, to measure exported models on (optional): of a language model
                          ``tokens [N]`` int64; of a captioner ``image [N, S, S, 3]`` uint8 and its references
                          ``captions [N, K, T]`` int64, each from <start> to <end>, then padded

Training adds its own files beside these; reading a checkpoint needs only the first three.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from edgernn import storage
from edgernn.contract import first_line
from edgernn.data.tokenizer import Tokenizer
from edgernn.errors import CheckpointError, DataError
from edgernn.models.families import FAMILIES
from edgernn.models.family import RecurrentModel
from edgernn.models.weights import fit_problem, named_tensors

CHECKPOINT_VERSION = 1
CONFIG, WEIGHTS, TOKENIZER, HELD_OUT = "config.json", "weights.safetensors", "tokenizer.json", "held_out.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint. ``training`` is the summary that training wrote: corpus, split, steps, losses."""

    model: RecurrentModel
    tokenizer: Tokenizer
    training: dict[str, Any] = field(default_factory=dict)
    held_out: dict[str, np.ndarray] = field(default_factory=dict)


def load(folder: Path | str) -> Checkpoint:
    """Load the checkpoint folder: the model in evaluation mode on the CPU in float32, and its tokenizer.

    Raises:
        CheckpointError: missing, damaged or foreign; says which file and why.
    """
    folder = Path(folder)
    model, training = _read_config(folder)
    load_weights(model, folder / WEIGHTS)
    try:
        tokenizer = Tokenizer.load(folder / TOKENIZER)
    except DataError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    if tokenizer.vocabulary_size != model.config.vocabulary:
        raise CheckpointError(
            f"{folder}: {TOKENIZER} has {tokenizer.vocabulary_size} tokens but the model's embedding has "
            f"{model.config.vocabulary} rows; they do not belong together. Put back the tokenizer that it was trained with"
        )
    held_out = read_held_out(folder / HELD_OUT) if (folder / HELD_OUT).exists() else {}
    return Checkpoint(model.eval(), tokenizer, training, held_out)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``checkpoint`` as a folder; each file whole or not at all, the weights last."""
    save_config(folder, checkpoint.model, training=checkpoint.training)
    checkpoint.tokenizer.save(folder / TOKENIZER)
    if checkpoint.held_out:
        save_held_out(folder / HELD_OUT, checkpoint.held_out)
    save_weights(checkpoint.model, folder / WEIGHTS)


def save_config(folder: Path, model: RecurrentModel, *, training: dict[str, Any]) -> None:
    """Write ``config.json``."""
    content = {"checkpoint_version": CHECKPOINT_VERSION, "family": model.family}
    storage.write_json(folder / CONFIG, {**content, "model": model.config.model_dump(), "training": training})


def save_weights(model: RecurrentModel, path: Path) -> None:
    """Write what the model has learned as safetensors; a matrix that two layers share is written once."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in named_tensors(model).items()}
    whole = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    storage.write_bytes(path, safetensors.torch.save(whole))


def load_weights(model: RecurrentModel, path: Path) -> None:
    """Fill ``model`` from a weights file; raise CheckpointError with the first names or shapes that do not fit."""
    weights, wanted = read_tensors(path), named_tensors(model)
    problem = fit_problem(weights, wanted)
    if problem:
        raise CheckpointError(f"{path} does not fit its {CONFIG}: {problem}; the two files are from different runs")
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(weights[name])


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; raise CheckpointError if it is missing or damaged."""
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; the folder is no checkpoint, or training has not saved it yet")
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({first_line(error)}); restore it or train again") from error


def save_held_out(path: Path, sample: Mapping[str, np.ndarray]) -> None:
    """Write a held-out sample: arrays by name, as the module's docstring says."""
    storage.write_bytes(path, safetensors.numpy.save({name: np.ascontiguousarray(a) for name, a in sample.items()}))


def read_held_out(path: Path) -> dict[str, np.ndarray]:
    """Read a held-out sample."""
    return {name: tensor.numpy() for name, tensor in read_tensors(path).items()}


def _read_config(folder: Path) -> tuple[RecurrentModel, dict[str, Any]]:
    """Return the model that ``config.json`` describes, its weights fresh, and the summary of its training."""
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(
            f"no checkpoint at {folder}: {CONFIG} is missing; make one with: edgernn train text (or captions) --out {folder}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["checkpoint_version"]
        if version != CHECKPOINT_VERSION:
            raise CheckpointError(
                f"{path} has checkpoint version {version!r}; this edgernn reads {CHECKPOINT_VERSION}. "
                "Use the edgernn that wrote it, or train again"
            )
        if content["family"] not in FAMILIES:
            raise CheckpointError(f"{path} is of a {content['family']!r} model, expected one of {', '.join(FAMILIES)}")
        config, model = FAMILIES[content["family"]]
        return model(config.model_validate(content["model"])), dict(content.get("training", {}))
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged or foreign ({first_line(error)}); restore it or train again") from error
