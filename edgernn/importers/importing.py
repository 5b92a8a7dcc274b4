"""From a checkpoint of another program to a run folder: opened, recognised, read, proved, written.

RUN/config.json              the model, and under ``training`` where it came from (see ``origin``)
RUN/weights.safetensors      its weights under the model's own names
RUN/tokenizer.json           where it reads text
RUN/held_out.safetensors     where a sample was given, or the importer has one

The folder is what ``edgernn train`` writes, so that everything downstream takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgernn import storage
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.importers.base import Opened, Wishes
from edgernn.importers.building import built
from edgernn.importers.compared import Compared
from edgernn.importers.invariances import proved
from edgernn.importers.recognising import AUTO, Recognised, open_checkpoint, recognise
from edgernn.importers.replay import replayed
from edgernn.importers.samples import sample_for
from edgernn.models import checkpoint
from edgernn.models.family import ModelConfig, RecurrentModel
from edgernn.storage import strict_json
from edgernn.storage.identify import identify, path_of
from edgernn.wording import size, some

TOLERANCE = 1e-4  # of a recorded run: the largest scaled difference
IMPORTED = "imported"  # of config.json's training: where the model came from
_WRITTEN = {checkpoint.CONFIG, checkpoint.WEIGHTS, checkpoint.TOKENIZER, checkpoint.EVALUATION}
_MOST_CONFIG_BYTES = 16 << 20


@dataclass(frozen=True, eq=False)
class Taken:
    """A checkpoint that was taken in.

    Attributes:
        folder: the run that was written.
        family: the importer's word.
        kind: the family of the network, as ``language``.
        config: of the network.
        parameters: its numbers that were trained.
        told: what was guessed, and what cannot be reproduced, a sentence each.
        proof: what was checked before it was written, in words.
        compared: each recorded tensor that came out, where a run was given.
    """

    folder: Path
    family: str
    kind: str
    config: ModelConfig
    parameters: int
    told: tuple[str, ...]
    proof: str
    compared: tuple[Compared, ...] = ()


def import_checkpoint(
    path: Path | str,
    out: Path | str,
    *,
    family: str = AUTO,
    wishes: Wishes = Wishes(),  # noqa: B008 - frozen
    sample: Path | None = None,
    check: Path | str | None = None,
    tolerance: float = TOLERANCE,
    tell: Callable[[str], None] = lambda line: None,
) -> Taken:
    """Take in a checkpoint that another program wrote; nothing in it is run.

    Args:
        path: the checkpoint.
        out: the run's folder; an older import there is replaced once the new one is whole.
        family: a word of ``table.IMPORTERS``, or ``auto``.
        wishes: what is said beside the file; ``wishes.names`` are rules of ``name_map``.
        sample: recorded inputs as the held-out sample: frames by the inputs' names, or for a
            model of text a text file or its token ids.
        check: a recorded run to replay (see ``recorded_run``), which has the last word; without
            one the invariances are measured on drawn inputs.
        tolerance: the largest scaled difference from the recorded run.
        tell: hears, one line each, what is being done.

    Raises:
        UsageError: ``out`` holds something else; the file is of no known family, or of two; an
            option that cannot be used.
        DataError, CheckpointError: a file is missing, damaged, hostile, or not the whole of one
            network.
        CheckFailedError: the recorded run does not come out, or an invariance does not hold;
            nothing was written.
    """
    path, out = path_of(path), path_of(out)
    refuse_foreign(out)
    read = _read(path, family, wishes, tell)
    model = read.model
    evaluation = sample_for(model, read.tokenizer, sample) if sample else read.evaluation
    compared: tuple[Compared, ...] = ()
    if check is None:
        proof = proved(model)
    else:
        compared = replayed(model, check, tolerance=tolerance, tell=tell)
        worst = max(each.worst for each in compared)
        proof = f"the recorded run {Path(check).name} came out (worst difference {worst:.1e})"
    tell(f"checked: {proof}")
    _write(out, read, evaluation, {**read.origin, "checked": proof})
    kind, config, count = model.family, model.config, model.parameter_count
    family, told = read.origin["family"], tuple(read.origin["told"])
    return Taken(out, family, kind, config, count, told, proof, compared)


@dataclass(frozen=True, eq=False)
class _Read:
    """What is left of a checkpoint once its weights are in a model: what else was read is let go,
    so that it does not lie in memory beside the proof.
    """

    model: RecurrentModel
    tokenizer: Tokenizer | None
    evaluation: Mapping[str, np.ndarray]
    origin: dict[str, Any]


def _read(path: Path, family: str, wishes: Wishes, tell: Callable[[str], None]) -> _Read:
    opened = open_checkpoint(path, wishes)
    taken_by = recognise(opened, family)
    importer = taken_by.importer
    tell(f"{path} is of the family {importer.word}: {importer.about} ({taken_by.match.why})")
    imported = importer.read(opened)
    if wishes.vocabulary is not None and imported.tokenizer is None:
        raise UsageError(
            f"--vocabulary {wishes.vocabulary} says nothing of {path}, which is taken as a network "
            "without text; leave it out"
        )
    told = tuple(dict.fromkeys((*opened.content.told, *imported.told)))
    for sentence in told:
        tell(f"note: {sentence}")
    origin = _origin(opened, taken_by, told)
    return _Read(built(imported, path), imported.tokenizer, imported.evaluation, origin)


def refuse_foreign(out: Path) -> None:
    """Raise UsageError where ``out`` holds anything but what an older import wrote, or nothing;
    StorageError where it is a link to what is not there.
    """
    storage.refuse_dangling(out)
    storage.clear(out)
    kind = identify(out)
    if kind.key in {"missing", "empty-folder"}:
        return
    if out.is_dir() and _was_imported(out):
        others = sorted({each.name for each in out.iterdir()} - _WRITTEN)
        if not others:
            return
        raise UsageError(
            f"{out} is an older import with {some(others)} in it, which would be lost; it was left "
            "as it is. Choose another --out, or move that elsewhere"
        )
    raise UsageError(
        f"{out} is there and is no import ({kind.name}); it was left as it is. Choose another --out"
    )


def _was_imported(folder: Path) -> bool:
    try:
        raw = storage.read_bytes(folder / checkpoint.CONFIG, most=_MOST_CONFIG_BYTES)
        training = strict_json.parse_object(raw).get("training")
    except (OSError, ValueError):
        return False
    return isinstance(training, dict) and IMPORTED in training


def _origin(opened: Opened, taken_by: Recognised, told: tuple[str, ...]) -> dict[str, Any]:
    """Return what a bundle and its card tell of where the model came from."""
    path = opened.content.path
    files = [path, *(content.path for content in opened.companions)]
    return {
        "family": taken_by.importer.word,
        "about": taken_by.importer.about,
        "recognised": taken_by.match.why,
        "container": opened.content.container,
        "file": storage.as_utf8(path.name),
        "bytes": storage.size_bytes(path),
        "sha256": {storage.as_utf8(each.name): storage.sha256(each) for each in files},
        "told": list(told),
    }


def _write(
    out: Path, read: _Read, evaluation: Mapping[str, np.ndarray], origin: dict[str, Any]
) -> None:
    """Write the run, whole or not at all."""
    with storage.replacing(out) as folder:
        folder.mkdir()
        if read.tokenizer is not None:
            read.tokenizer.save(folder / checkpoint.TOKENIZER)
        if evaluation:
            checkpoint.save_evaluation(folder / checkpoint.EVALUATION, evaluation)
        checkpoint.save_trained(folder, read.model, training={IMPORTED: origin})


def sizes_in_words(taken: Taken) -> str:
    """Return how large a network is: its parameters, and the sizes of its contract."""
    axes = ", ".join(f"{axis} {n}" for axis, n in taken.config.contract().sizes.items())
    return f"{taken.parameters:,} parameters ({size(4 * taken.parameters)} in float32); {axes}"
