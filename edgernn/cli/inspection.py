"""What ``edgernn inspect`` shows, for each kind of thing it is pointed at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgernn.bundle import Bundle
from edgernn.cli import tables
from edgernn.cli.output import say, say_json, say_sheet, write_result
from edgernn.contract import METADATA_KEY, FileContract
from edgernn.data.token_kinds import unit_of
from edgernn.interface import FileTensor
from edgernn.parity.wording import size
from edgernn.sessions.opening import describe_file, is_bundle
from edgernn.training.caption_scores import SCORES

_CHECKPOINT_CONFIG = "config.json"
_FIRST_STATE = {"zeros": "zeros", "learned": "learned, in the bundle", "encode": "made by encode"}


def inspect_path(path: Path, *, as_json: bool) -> None:
    """Print what stands at ``path``; raise an EdgernnError where it is nothing that edgernn knows."""
    if (path / _CHECKPOINT_CONFIG).exists() and path.is_dir():
        _checkpoint(path, as_json=as_json)
    elif is_bundle(path):
        _bundle(path, as_json=as_json)
    else:
        _model_file(path, as_json=as_json)


def _bundle(path: Path, *, as_json: bool) -> None:
    with Bundle.open(path) as bundle:
        manifest = bundle.manifest
    if as_json:
        write_result("-", manifest.to_json())
        return
    made = manifest.provenance
    say(f"bundle {path}: {manifest.family} model, {made.parameters:,} parameters, {size(tables.total_bytes(manifest))}")
    say(f"made by edgernn {made.edgernn} on {made.created}; every digest is right")
    _training(made.training, manifest.tokenizer.kind)
    say(f"tokenizer: {manifest.tokenizer.kind}, {manifest.tokenizer.vocabulary_size} tokens")
    say(f"first state: {_FIRST_STATE[manifest.contract.initial_state]}")
    say()
    say_sheet(tables.tensors(manifest.contract))
    say()
    say_sheet(tables.artifacts(manifest))


def _model_file(path: Path, *, as_json: bool) -> None:
    row, description = describe_file(path)
    if as_json:
        own = json.loads(description.metadata.get(METADATA_KEY, "null"))
        say_json({"format": row.name, "edgernn": own})
        return
    say(f"{row.name} file {path}")
    for kind in ("inputs", "outputs", "states"):
        for tensor in getattr(description.interface, kind):
            say(f"  {kind[:-1]:<7} {_tensor(tensor)}")
    if METADATA_KEY not in description.metadata:
        say("no edgernn contract in its metadata: it says nothing of roles, state or decoding")
        return
    own_contract = FileContract.from_metadata(description.metadata, source=str(path))
    first = _FIRST_STATE[own_contract.contract.initial_state]
    say(f"it computes {own_contract.graph} of the contract (schema {own_contract.schema_version}); first state: {first}")
    say()
    say_sheet(tables.tensors(own_contract.contract))


def _checkpoint(path: Path, *, as_json: bool) -> None:
    from edgernn.models import checkpoint
    from edgernn.models.weights import not_finite

    loaded = checkpoint.load(path)
    wrong = not_finite(loaded.model)
    about = {"model": loaded.model.config.model_dump(), "training": loaded.training}
    if as_json:
        say_json({**about, "not_finite": wrong} if wrong else about)
        return
    parameters = sum(parameter.numel() for parameter in loaded.model.parameters())
    say(f"checkpoint {path}: {parameters:,} parameters, {loaded.tokenizer.kind} tokens")
    for key, value in about["model"].items():
        say(f"  {key:<22} {value}")
    if wrong:
        say(f"weights that are not finite, so that it cannot be exported: {wrong}")
    _training(loaded.training, loaded.tokenizer.kind)


def _training(training: dict[str, Any], kind: str) -> None:
    if "validation_loss" in training:
        loss, split = training["validation_loss"], training.get("split")
        say(f"trained on {training.get('corpus')}: {loss:.4f} nats/{unit_of(kind)} ({split})")
    scores = [f"{name} {training[name]:.4f}" for name in SCORES if name in training]
    if scores:
        say(f"captions that it wrote for them: {', '.join(scores)}")


def _tensor(tensor: FileTensor) -> str:
    shape = "" if tensor.shape is None else f" [{', '.join(map(str, tensor.shape))}]"
    return f"{tensor.name} {tensor.dtype or '(dtype not recorded)'}{shape}"
