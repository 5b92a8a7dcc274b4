"""Whether the labels that a bundle names are those that its reference was trained with: where they
are not, every number is right, and every answer may be wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edgernn import storage
from edgernn.storage import strict_json

if TYPE_CHECKING:
    from edgernn.parity.subject import Subject

_CONFIG = "config.json"
_MOST_CONFIG_BYTES = 16 << 20


def label_problems(subject: Subject) -> Iterator[str]:
    """Yield what is wrong with the manifest's labels, each a sentence; nothing where they are the
    reference's, or there is no checkpoint to compare with.
    """
    inner = subject.bundle.manifest.reference
    folder = subject.checkpoint or (subject.bundle.path(inner) if inner else None)
    if subject.reference is None or folder is None or not (folder / _CONFIG).is_file():
        return
    try:
        content = strict_json.parse_object(
            storage.read_bytes(folder / _CONFIG, most=_MOST_CONFIG_BYTES)
        )
    except (OSError, ValueError, json.JSONDecodeError) as error:
        yield f"the reference's {_CONFIG} cannot be read: {error}"
        return
    found = subject.bundle.manifest.labels or {}
    wanted = _labels(content)
    for axis in sorted({*found, *wanted}):
        ours, theirs = found.get(axis, ()), wanted.get(axis, ())
        if ours != theirs:
            at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
            yield (
                f"the labels of {axis} are not the reference's: at {at} "
                f"{_named(ours, at)}, expected {_named(theirs, at)}"
            )


def _labels(content: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    model = content.get("model")
    said = model.get("labels") if isinstance(model, dict) else None
    return {axis: tuple(names) for axis, names in (said or {}).items()}


def _named(names: tuple[str, ...], at: int) -> str:
    return repr(names[at]) if at < len(names) else "none"
