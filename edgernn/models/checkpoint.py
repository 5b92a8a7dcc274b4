"""The checkpoint folder: a trained model with its vocabulary, in safetensors and JSON, nothing pickled.

    config.json           what kind of model, its LanguageConfig, and a summary of how it was trained
    weights.safetensors   the parameters under the model's own names (a tied matrix once)
    tokenizer.json        the vocabulary, in the Hugging Face tokenizers format
    held_out.safetensors  ``tokens [N]`` from the validation part, to measure exported models on (optional)

Training adds its own files beside these; reading a checkpoint needs only the first three.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from edgernn import storage
from edgernn.contract import TOKENS, first_line
from edgernn.data.tokenizer import Tokenizer
from edgernn.errors import CheckpointError, DataError
from edgernn.models.language import LanguageConfig, LanguageModel

CHECKPOINT_VERSION = 1
FAMILY = "language"
CONFIG, WEIGHTS, TOKENIZER, HELD_OUT = "config.json", "weights.safetensors", "tokenizer.json", "held_out.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint. ``training`` is the summary that training wrote: corpus, split, steps, losses."""

    model: LanguageModel
    tokenizer: Tokenizer
    training: dict[str, Any] = field(default_factory=dict)
    held_out: np.ndarray | None = None  # int64 [N]


def load(folder: Path | str) -> Checkpoint:
    """Load the checkpoint folder: the model in evaluation mode on the CPU in float32, and its tokenizer.

    Raises:
        CheckpointError: missing, damaged or foreign; says which file and why.
    """
    folder = Path(folder)
    config, training = _read_config(folder)
    model = LanguageModel(config)
    load_weights(model, folder / WEIGHTS)
    try:
        tokenizer = Tokenizer.load(folder / TOKENIZER)
    except DataError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    if tokenizer.vocabulary_size != config.vocabulary:
        raise CheckpointError(
            f"{folder}: {TOKENIZER} has {tokenizer.vocabulary_size} tokens but the model's embedding has "
            f"{config.vocabulary} rows; they do not belong together. Put back the tokenizer that it was trained with"
        )
    held_out = read_held_out(folder / HELD_OUT) if (folder / HELD_OUT).exists() else None
    return Checkpoint(model.eval(), tokenizer, training, held_out)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``checkpoint`` as a folder; each file whole or not at all, the weights last."""
    save_config(folder, checkpoint.model.config, training=checkpoint.training)
    checkpoint.tokenizer.save(folder / TOKENIZER)
    if checkpoint.held_out is not None:
        save_held_out(folder / HELD_OUT, checkpoint.held_out)
    save_weights(checkpoint.model, folder / WEIGHTS)


def save_config(folder: Path, config: LanguageConfig, *, training: dict[str, Any]) -> None:
    """Write ``config.json``."""
    content = {"checkpoint_version": CHECKPOINT_VERSION, "family": FAMILY}
    storage.write_json(folder / CONFIG, {**content, "model": config.model_dump(), "training": training})


def save_weights(model: LanguageModel, path: Path) -> None:
    """Write the parameters as float32 safetensors; a matrix that two layers share is written once."""
    storage.write_bytes(path, safetensors.torch.save(named_weights(model)))


def named_weights(model: LanguageModel) -> dict[str, Tensor]:
    """Return name → float32 CPU tensor of every parameter, shared ones once."""
    return {name: weight.detach().float().cpu().contiguous() for name, weight in model.named_parameters()}


def load_weights(model: LanguageModel, path: Path) -> None:
    """Fill ``model`` from a weights file; raise CheckpointError with the first names or shapes that do not fit."""
    weights = read_tensors(path)
    wanted = dict(model.named_parameters())
    missing, unknown = sorted(wanted.keys() - weights.keys()), sorted(weights.keys() - wanted.keys())
    if missing or unknown:
        raise CheckpointError(
            f"{path} does not fit its {CONFIG}: missing {missing[:3] or 'none'}, unknown {unknown[:3] or 'none'}; "
            "the two files are from different runs"
        )
    for name, parameter in wanted.items():
        if weights[name].dtype != torch.float32:
            raise CheckpointError(f"{path}: {name} is {weights[name].dtype}, expected torch.float32; train or import it again")
        if parameter.shape != weights[name].shape:
            raise CheckpointError(
                f"{path}: {name} has shape {list(weights[name].shape)}, {CONFIG} says {list(parameter.shape)}; "
                "the two files are from different runs"
            )
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(weights[name])


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; raise CheckpointError if it is missing or damaged."""
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; the folder is no checkpoint, or training has not saved it yet")
    try:
        return safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({first_line(error)}); restore it or train again") from error


def save_held_out(path: Path, tokens: np.ndarray) -> None:
    """Write held-out token ids ``[N]``."""
    ids = torch.from_numpy(np.asarray(tokens, np.int64))
    storage.write_bytes(path, safetensors.torch.save({TOKENS: ids}))


def read_held_out(path: Path) -> np.ndarray:
    """Read held-out token ids, int64 ``[N]``."""
    tensors = read_tensors(path)
    if TOKENS not in tensors:
        raise CheckpointError(f"{path} has no tensor {TOKENS!r}; restore it or train again")
    return tensors[TOKENS].numpy()


def _read_config(folder: Path) -> tuple[LanguageConfig, dict[str, Any]]:
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(
            f"no checkpoint at {folder}: {CONFIG} is missing; make one with: edgernn train text --out {folder}"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["checkpoint_version"]
        if version != CHECKPOINT_VERSION:
            raise CheckpointError(
                f"{path} has checkpoint version {version!r}; this edgernn reads {CHECKPOINT_VERSION}. "
                "Use the edgernn that wrote it, or train again"
            )
        if content["family"] != FAMILY:
            raise CheckpointError(f"{path} is of a {content['family']!r} model, expected {FAMILY!r}")
        return LanguageConfig.model_validate(content["model"]), dict(content.get("training", {}))
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged or foreign ({first_line(error)}); restore it or train again") from error
