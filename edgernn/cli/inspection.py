"""What ``edgernn inspect`` shows, for each kind of thing it is pointed at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgernn.bundle import Bundle
from edgernn.bundle.manifest import SIGNATURE
from edgernn.cli import layers, tables
from edgernn.cli.foreign_inspection import (
    arrays_as_json,
    checkpoint_in,
    inspect_foreign,
    say_arrays,
)
from edgernn.cli.origin import loss_unit, origin_lines
from edgernn.cli.output import say, say_json, say_sheet, write_result
from edgernn.contract import METADATA_KEY, FileContract
from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError, UsageError
from edgernn.families.caption_scores import SCORES
from edgernn.sessions.opening import describe_file, is_bundle, is_model_file
from edgernn.storage import strict_json
from edgernn.storage.array_files import layout
from edgernn.storage.identify import identify, sentence
from edgernn.storage.kind import IMPORTABLE, Kind
from edgernn.wording import size

_EXPLAINED = frozenset({"onnx"})  # whose interface says more than its weights
_FOREIGN = frozenset({"torchscript"})  # of another program, whose weights say more
_SHOWN = 20  # labels
_ARRAYS = {
    "run-weights": "safetensors",
    "resume-state": "safetensors",
    "saved-state": "safetensors",
}


def inspect_path(path: Path, *, as_json: bool) -> None:
    """Print what stands at ``path``; raise an EdgernnError where nothing but its name can be
    told.
    """
    kind = identify(path)
    if kind.key == "run" or (
        path.is_dir() and (path / "config.json").exists() and kind.key != "bundle"
    ):
        _checkpoint(path, as_json=as_json)
    elif kind.key in {"bundle", "packed-bundle"} or is_bundle(path):
        _bundle(path, as_json=as_json)
    elif kind.key not in _FOREIGN and is_model_file(path, kind):
        _model_file(path, kind, as_json=as_json)
    elif kind.key in IMPORTABLE and kind.key not in _EXPLAINED:
        inspect_foreign(path, kind, as_json=as_json)
    elif kind.key in _ARRAYS:
        _arrays(path, kind, as_json=as_json)
    elif kind.key in {"tar", "text", "zip"} and (content := checkpoint_in(path)) is not None:
        inspect_foreign(path, kind, as_json=as_json, content=content)
    elif kind.key in {"unknown", "missing"}:
        # a damaged model file, no kind of file at all, or none: it says which
        _model_file(path, kind, as_json=as_json)
    else:
        raise UsageError(sentence(path))


def _arrays(path: Path, kind: Kind, *, as_json: bool) -> None:
    """Print the arrays of a file that edgernn wrote, and what can be done with it."""
    found, metadata = layout(path, _ARRAYS[kind.key])
    if as_json:
        say_json({"kind": kind.key, "arrays": arrays_as_json(found), "metadata": metadata})
        return
    say_arrays(path, kind, found)
    say(kind.advise(path))


def _bundle(path: Path, *, as_json: bool) -> None:
    with Bundle.open(path) as bundle:
        manifest, signed = bundle.manifest, (bundle.folder / SIGNATURE).is_file()
    if as_json:
        write_result("-", manifest.to_json())
        return
    made = manifest.provenance
    say(
        f"bundle {path}: {manifest.family} model, {made.parameters:,} parameters, "
        f"{size(tables.total_bytes(manifest))}"
    )
    say(f"made by edgernn {made.edgernn} on {made.created}; every digest is right")
    if signed:
        say("signed; edgernn verify --signed-by FILE tells whether by whom you trust")
    tokenizer = manifest.tokenizer
    _training(made.training, tokenizer.kind if tokenizer else "")
    say(
        f"tokenizer: {tokenizer.kind}, {tokenizer.vocabulary_size} tokens"
        if tokenizer
        else "no tokenizer"
    )
    for axis, names in (manifest.labels or {}).items():
        shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        say(f"{axis}: {shown}")
    say(f"first state: {tables.first_state(manifest.contract)}")
    if frames := tables.frames(manifest.contract):
        say(f"frames: {frames}")
    say()
    if layers.layers_of(made.model):
        say_sheet(layers.layer_sheet(made.model))
        say()
    say_sheet(tables.tensors(manifest.contract))
    say()
    say_sheet(tables.artifacts(manifest))


def _model_file(path: Path, kind: Kind, *, as_json: bool) -> None:
    row, description = describe_file(path)
    if as_json:
        try:
            own = strict_json.parse(description.metadata.get(METADATA_KEY, "null"))
        except ValueError as error:
            raise ContractError(
                f"{path} has a damaged {METADATA_KEY!r} entry in its metadata: {error}"
            ) from error
        say_json({"format": row.name, "edgernn": own})
        return
    say(f"{row.name} file {path}")
    for direction in ("inputs", "outputs", "states"):
        for tensor in getattr(description.interface, direction):
            say(f"  {direction[:-1]:<7} {_tensor(tensor)}")
    if METADATA_KEY not in description.metadata:
        say("no edgernn contract in its metadata: it says nothing of roles, state or decoding")
        if kind.key == "onnx":
            say(kind.advise(path))
        return
    own_contract = FileContract.from_metadata(description.metadata, source=str(path))
    first = tables.first_state(own_contract.contract)
    say(
        f"it computes {own_contract.graph} of the contract (schema "
        f"{own_contract.schema_version}); first state: {first}"
    )
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
    kind = "" if loaded.tokenizer is None else loaded.tokenizer.kind
    tokens = f"{kind} tokens" if kind else "no tokenizer"
    say(f"checkpoint {path}: {loaded.model.parameter_count:,} parameters, {tokens}")
    for key, value in layers.others_of(about["model"]).items():
        say(f"  {key:<22} {value}")
    if layers.layers_of(about["model"]):
        say_sheet(layers.layer_sheet(about["model"]))
    if wrong:
        say(f"weights that are not finite, so that it cannot be exported: {wrong}")
    _training(loaded.training, kind)


def _training(training: dict[str, Any], kind: str) -> None:
    """Print how it was trained; these are notes that nothing vouches for, so one that is no number
    is printed as it is.
    """
    for line in origin_lines(training):
        say(line)
    if "validation_loss" in training:
        loss, split = training["validation_loss"], training.get("split")
        unit = loss_unit(training, kind)
        say(f"trained on {training.get('corpus')}: {_figure(loss)} nats/{unit} ({split})")
    scores = [f"{name} {_figure(training[name])}" for name in SCORES if name in training]
    if "accuracy" in training:
        say(f"right answers there: {_figure(training['accuracy'])}")
    if scores:
        say(f"captions that it wrote for them: {', '.join(scores)}")


def _figure(found: Any) -> str:
    return (
        f"{found:.4f}"
        if isinstance(found, (int, float)) and not isinstance(found, bool)
        else repr(found)
    )


def _tensor(tensor: FileTensor) -> str:
    shape = "" if tensor.shape is None else f" [{', '.join(map(str, tensor.shape))}]"
    return f"{tensor.name} {tensor.dtype or '(dtype not recorded)'}{shape}"
