"""The checkpoint folder: a trained model with its vocabulary, in safetensors and JSON, nothing
pickled.

    config.json           the model's kind and configuration, and a summary of how it was trained
    weights.safetensors   the parameters and kept buffers under the model's own names (a tied matrix
                          once)
    tokenizer.json        the vocabulary, in the Hugging Face tokenizers format; of a model of text
    held_out.safetensors  from the validation part, to measure exported models on (optional): of a
                          language model ``tokens [N]`` int64; of a captioner
                          ``image [N, S, S, 3]`` uint8, or the features that its encode takes,
                          and the references ``captions [N, K, T]``
                          int64, each from <start> to <end>, then padded

Training adds its own files beside these; reading a checkpoint needs only the first three.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgernn import storage
from edgernn.contract import first_line
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import CheckpointError, DataError
from edgernn.families.table import family_of
from edgernn.models.checkpoint_config import read_config, write_config
from edgernn.models.family import RecurrentModel
from edgernn.models.few_values import plain_tensors
from edgernn.models.tensors import described, read_content, read_tensors, unwritten
from edgernn.models.undrawn import Undrawn
from edgernn.models.weights import fit_problem, named_tensors
from edgernn.storage import tensor_files
from edgernn.storage.identify import identify, path_of

# of the weights' metadata: what they belong to
_MODEL, _TOKENIZER = "edgernn.model", "edgernn.tokenizer_sha256"
_SUMMARY = "edgernn.training"  # of the weights' metadata: how they were trained
CONFIG, WEIGHTS, TOKENIZER, EVALUATION = (
    "config.json",
    "weights.safetensors",
    "tokenizer.json",
    "held_out.safetensors",
)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint. ``training`` is the summary that training wrote: corpus, split, steps,
    losses.
    """

    model: RecurrentModel
    tokenizer: Tokenizer | None
    training: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def text_tokenizer(self) -> Tokenizer:
        """The tokenizer; raises CheckpointError where the model reads no text."""
        if self.tokenizer is None:
            raise CheckpointError("the model has no tokenizer: it reads and writes no text")
        return self.tokenizer


def load(folder: Path | str) -> Checkpoint:
    """Load the checkpoint folder: the model in evaluation mode on the CPU in float32, and its
    tokenizer.

    Raises:
        CheckpointError: missing, damaged or foreign; says which file and why.
    """
    folder = path_of(folder)
    _refuse_others(folder)
    kind, config, training = read_config(folder / CONFIG)
    weights = read_content(folder / WEIGHTS)
    _refuse_misfit(kind, config, weights, folder / WEIGHTS)
    training = _summary(weights) or training
    with Undrawn():
        model = kind(config)
    _fill(model, weights, folder / WEIGHTS)
    tokenizer = _read_tokenizer(folder, model, weights)
    evaluation = read_evaluation(folder / EVALUATION) if (folder / EVALUATION).exists() else {}
    family = family_of(model.family)
    if evaluation and (problem := family.sample_problem(evaluation, model.config.contract())):
        raise CheckpointError(
            f"{folder / EVALUATION} has {problem}; restore it, or remove it to go without"
        )
    return Checkpoint(model.eval(), tokenizer, training, evaluation)


def _read_tokenizer(
    folder: Path, model: RecurrentModel, weights: tensor_files.Content
) -> Tokenizer | None:
    """Return the tokenizer of a checkpoint; None where there is none, and the model writes no
    text.
    """
    if family_of(model.family).writes is None and not (folder / TOKENIZER).exists():
        return None
    try:
        tokenizer = Tokenizer.load(folder / TOKENIZER)
    except DataError as error:
        raise CheckpointError(f"{folder}: {error}") from error
    if tokenizer.vocabulary_size != model.config.vocabulary:
        raise CheckpointError(
            f"{folder}: {TOKENIZER} has {tokenizer.vocabulary_size} tokens but the model's "
            "embedding has "
            f"{model.config.vocabulary} rows; they do not belong together. Put back the "
            "tokenizer that it was trained with"
        )
    if weights.metadata.get(_TOKENIZER, tokenizer.sha256) != tokenizer.sha256:
        raise CheckpointError(
            f"{folder}: {TOKENIZER} is not the one with which {WEIGHTS} was saved; put that "
            "one back, or train again"
        )
    return tokenizer


def _refuse_others(folder: Path) -> None:
    """Raise CheckpointError where ``folder`` is known to be something else, and say what takes that
    on.
    """
    found = identify(folder)
    if found.key in {"run", "missing"} or (
        found.key in {"unsaved-run", "folder", "hub-folder"} and (folder / CONFIG).exists()
    ):
        return
    raise CheckpointError(f"no checkpoint at {folder}: it is {found.name}; {found.advise(folder)}")


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write ``checkpoint`` as a folder; each file whole or not at all, the weights last."""
    save_config(folder, checkpoint.model, training=checkpoint.training)
    if checkpoint.tokenizer is not None:
        checkpoint.tokenizer.save(folder / TOKENIZER)
    if checkpoint.evaluation:
        save_evaluation(folder / EVALUATION, checkpoint.evaluation)
    save_weights(checkpoint.model, folder / WEIGHTS)


def save_config(folder: Path, model: RecurrentModel, *, training: dict[str, Any]) -> None:
    """Write ``config.json``."""
    write_config(folder / CONFIG, model, training=training)


def save_trained(folder: Path, model: RecurrentModel, *, training: dict[str, Any]) -> None:
    """Write ``config.json`` and the weights, which carry the same summary: after a kill between the
    two it is theirs.
    """
    save_config(folder, model, training=training)
    save_weights(model, folder / WEIGHTS, training=training)


def save_weights(
    model: RecurrentModel, path: Path, *, training: dict[str, Any] | None = None
) -> None:
    """Write what the model has learned as safetensors; a matrix that two layers share is written
    once.

    The file says to which model and to which ``tokenizer.json`` beside it the weights belong, and
    has its own digest.
    """
    tensors = {name: _plain(tensor).numpy() for name, tensor in plain_tensors(model).items()}
    belongs_to = {_MODEL: _identity(model)}
    if training is not None:
        belongs_to[_SUMMARY] = json.dumps(training, sort_keys=True)
    if (path.parent / TOKENIZER).is_file():
        belongs_to[_TOKENIZER] = storage.sha256(path.parent / TOKENIZER)
    with storage.replacing(path) as temporary, temporary.open("wb") as file:
        tensor_files.write(file, tensors, belongs_to)
        file.flush()
        os.fsync(file.fileno())


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor on the CPU, floats as float32; the tensor itself where it is one already."""
    plain = tensor.detach().cpu().contiguous()
    return plain.float() if plain.is_floating_point() else plain


def _summary(weights: tensor_files.Content) -> dict[str, Any] | None:
    """Return the summary that a weights file carries, None where it has none."""
    try:
        found = json.loads(weights.metadata.get(_SUMMARY, "null"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def load_weights(model: RecurrentModel, path: Path) -> None:
    """Fill ``model`` from a weights file; raise CheckpointError with the first names or shapes that
    do not fit.
    """
    _fill(model, read_content(path), path)


def _fill(model: RecurrentModel, content: tensor_files.Content, path: Path) -> None:
    """Copy each tensor from where it lies in the file into the model; raise CheckpointError where
    they do not fit.
    """
    wanted = named_tensors(model)
    problem = fit_problem(described(content), wanted)
    if not problem and content.metadata.get(_MODEL, _identity(model)) != _identity(model):
        problem = f"they were saved with the model {content.metadata[_MODEL]}"
    if problem:
        raise CheckpointError(
            f"{path} does not fit its {CONFIG}: {problem}; the two files are from different runs"
        )
    try:
        with torch.no_grad():
            for name, view in content.views():
                wanted[name].copy_(unwritten(view))
    except ValueError as error:
        raise CheckpointError(
            f"{path} is damaged ({first_line(error)}); restore it or train again"
        ) from error


def _identity(model: RecurrentModel) -> str:
    """Return the configuration of a model as one text."""
    return json.dumps({"family": model.family, **model.config.model_dump()}, sort_keys=True)


def save_evaluation(path: Path, sample: Mapping[str, np.ndarray]) -> None:
    """Write a held-out sample: arrays by name, as its family says."""
    storage.write_bytes(path, tensor_files.save(sample))


def read_evaluation(path: Path) -> dict[str, np.ndarray]:
    """Read a held-out sample."""
    return {name: tensor.numpy() for name, tensor in read_tensors(path).items()}


def _refuse_misfit(
    kind: type[RecurrentModel], config: Any, weights: tensor_files.Content, path: Path
) -> None:
    """Raise CheckpointError where the weights do not fit ``config``, before memory is asked for
    that nothing fills.
    """
    with torch.device("meta"), Undrawn():
        wanted = named_tensors(kind(config))
    if problem := fit_problem(described(weights), wanted):
        raise CheckpointError(
            f"{path} does not fit its {CONFIG}: {problem}; the two files are from different runs"
        )
