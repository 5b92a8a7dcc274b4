"""What ``edgernn inspect`` shows, for each kind of thing it is pointed at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from edgernn.bundle import Bundle
from edgernn.cli import tables
from edgernn.contract import METADATA_KEY, FileContract
from edgernn.interface import FileTensor
from edgernn.parity.wording import size
from edgernn.sessions.opening import describe_file, is_bundle
from edgernn.training.caption_scores import SCORES

_CHECKPOINT_CONFIG = "config.json"
_FIRST_STATE = {"zeros": "zeros", "learned": "learned, in the bundle", "encode": "made by encode"}


def inspect_path(path: Path, console: Console, *, as_json: bool) -> None:
    """Print what stands at ``path``; raise an EdgernnError where it is nothing that edgernn knows."""
    if (path / _CHECKPOINT_CONFIG).exists() and path.is_dir():
        _checkpoint(path, as_json=as_json)
    elif is_bundle(path):
        _bundle(path, console, as_json=as_json)
    else:
        _model_file(path, console, as_json=as_json)


def _bundle(path: Path, console: Console, *, as_json: bool) -> None:
    with Bundle.open(path) as bundle:
        manifest = bundle.manifest
    if as_json:
        typer.echo(manifest.to_json(), nl=False)
        return
    made = manifest.provenance
    typer.echo(f"bundle {path}: {manifest.family} model, {made.parameters:,} parameters, {size(tables.total_bytes(manifest))}")
    typer.echo(f"made by edgernn {made.edgernn} on {made.created}; every digest is right")
    _training(made.training)
    typer.echo(f"tokenizer: {manifest.tokenizer.kind}, {manifest.tokenizer.vocabulary_size} tokens")
    typer.echo(f"first state: {_FIRST_STATE[manifest.contract.initial_state]}\n")
    console.print(tables.tensors(manifest.contract))
    typer.echo()
    console.print(tables.artifacts(manifest))


def _model_file(path: Path, console: Console, *, as_json: bool) -> None:
    row, description = describe_file(path)
    if as_json:
        own = json.loads(description.metadata.get(METADATA_KEY, "null"))
        typer.echo(json.dumps({"format": row.name, "edgernn": own}, indent=2))
        return
    typer.echo(f"{row.name} file {path}")
    for kind in ("inputs", "outputs", "states"):
        for tensor in getattr(description.interface, kind):
            typer.echo(f"  {kind[:-1]:<7} {_tensor(tensor)}")
    if METADATA_KEY not in description.metadata:
        typer.echo("no edgernn contract in its metadata: it says nothing of roles, state or decoding")
        return
    own_contract = FileContract.from_metadata(description.metadata, source=str(path))
    first = _FIRST_STATE[own_contract.contract.initial_state]
    typer.echo(
        f"it computes {own_contract.graph} of the contract (schema {own_contract.schema_version}); first state: {first}\n"
    )
    console.print(tables.tensors(own_contract.contract))


def _checkpoint(path: Path, *, as_json: bool) -> None:
    from edgernn.models import checkpoint

    loaded = checkpoint.load(path)
    about = {"model": loaded.model.config.model_dump(), "training": loaded.training}
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    parameters = sum(parameter.numel() for parameter in loaded.model.parameters())
    typer.echo(f"checkpoint {path}: {parameters:,} parameters, {loaded.tokenizer.kind} tokens")
    for key, value in about["model"].items():
        typer.echo(f"  {key:<22} {value}")
    _training(loaded.training)


def _training(training: dict[str, Any]) -> None:
    if "validation_loss" in training:
        loss, split = training["validation_loss"], training.get("split")
        typer.echo(f"trained on {training.get('corpus')}: {loss:.4f} nats/token ({split})")
    scores = [f"{name} {training[name]:.4f}" for name in SCORES if name in training]
    if scores:
        typer.echo(f"captions that it wrote for them: {', '.join(scores)}")


def _tensor(tensor: FileTensor) -> str:
    shape = "" if tensor.shape is None else f" [{', '.join(map(str, tensor.shape))}]"
    return f"{tensor.name} {tensor.dtype or '(dtype not recorded)'}{shape}"
