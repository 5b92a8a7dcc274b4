"""Whether the programs that a bundle has beside its artifacts, to write texts with, are those that
this edgernn generates from contract, tokenizer and first state.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgernn import formats, storage
from edgernn.bundle import Bundle
from edgernn.contract import STEP
from edgernn.errors import BundleError, DataError, StorageError
from edgernn.sessions.opening import read_first_state
from edgernn.writing.text import open_tokenizer

if TYPE_CHECKING:
    from edgernn.parity.subject import Subject


def companion_problems(subject: Subject) -> list[str]:
    """Return what is wrong with the files beside a step, a sentence; nothing where they are right,
    or where the bundle has none, as one of an older edgernn.
    """
    artifact, row = subject.artifact, formats.by_name(subject.artifact.format)
    if row.companions is None or artifact.graph != STEP:
        return []
    bundle, inside = subject.bundle, f"{row.companion_folder}/"
    listed = {name for name in bundle.manifest.files if name.startswith(inside)}
    if not listed:
        return []
    try:
        step = bundle.path(artifact.path)
        made = {f"{inside}{name}": held for name, held in _generated(bundle, row, step).items()}
        for name in sorted(listed | made.keys()):
            if name not in listed:
                return [f"{name}, which this edgernn generates, is not in the bundle"]
            if made.get(name) != storage.read_bytes(bundle.path(name)):
                return [f"{name} is not what this edgernn generates from contract and tokenizer"]
    except (BundleError, DataError, OSError, StorageError) as error:
        return [f"what is beside the step cannot be compared: {error}"]
    return []


def _generated(bundle: Bundle, row: formats.Format, step: Path) -> dict[str, bytes]:
    generate = formats.resolve(
        row.companions or "", needed_for=f"reading {row.name}", extra=row.export_extra
    )
    manifest = bundle.manifest
    inner = manifest.initial_state
    stored = read_first_state(bundle.path(inner), manifest.contract) if inner else {}
    tokenizer = None if manifest.tokenizer is None else open_tokenizer(bundle)
    made: dict[str, bytes] = generate(manifest.contract, manifest.decoding, tokenizer, stored, step)
    return made
