"""Clips from an npz file: ``frames`` and ``labels``.

``frames`` is uint8 ``[N, T, H, W, C]`` with ``labels [N, T]``, or one clip ``[T, H, W, C]`` with
``labels [T]``; grey pictures may lack C. Labels are texts, or whole numbers, which ``classes``
names where it is there. Clips of several lengths are padded at their ends, and ``lengths [N]`` says
how long each is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgernn.data.clips.tagged import TaggedFrames
from edgernn.errors import DataError
from edgernn.storage.recordings import as_text, read_arrays
from edgernn.wording import some

FRAMES, LABELS, LENGTHS, CLASSES = "frames", "labels", "lengths", "classes"


def read_npz(path: Path) -> TaggedFrames:
    """Read the clips of an npz file with their labels.

    Raises:
        DataError: it cannot be read, or its arrays have other names, shapes or dtypes.
    """
    found = read_arrays(path, [FRAMES])
    if LABELS not in found:
        raise DataError(
            f"{path} has {some(sorted(found))} and no {LABELS}; expected {FRAMES} [N, T, H, W, C] "
            f"and {LABELS} [N, T]"
        )
    labels = found[LABELS]
    clips = frames_of(path, found, single=labels.ndim == 1)
    rows = labels[None] if labels.ndim == 1 else labels
    padded = found[FRAMES].shape[: labels.ndim]
    if labels.shape != padded:
        raise DataError(
            f"{path} has {LABELS} {list(labels.shape)} for {FRAMES} {list(found[FRAMES].shape)}, "
            f"expected {list(padded)}: a label a frame"
        )
    named = _named(path, rows, found.get(CLASSES))
    kept = [tuple(row[: len(clip)]) for row, clip in zip(named, clips, strict=True)]
    return TaggedFrames(str(path), tuple(clips), tuple(kept))


def frames_of(path: Path, found: dict[str, np.ndarray], *, single: bool) -> list[np.ndarray]:
    """Return the clips of the arrays of an npz file, uint8 ``[T, H, W, C]`` each.

    Args:
        path: of the file, for errors.
        found: its arrays by name.
        single: whether the frames are of one clip.

    Raises:
        DataError: there are no such frames, or lengths that do not fit them.
    """
    if FRAMES not in found:
        raise DataError(
            f"{path} has {some(sorted(found))} and no {FRAMES}; expected {FRAMES} [N, T, H, W, C]"
        )
    frames = found[FRAMES]
    whole = frames[None] if single else frames
    whole = whole[..., None] if whole.ndim == 4 else whole
    if frames.dtype != np.uint8 or whole.ndim != 5 or not whole.size:
        scale = "; multiply parts of 1 by 255" if frames.dtype.kind == "f" else ""
        raise DataError(
            f"{path} has {FRAMES} {frames.dtype} {list(frames.shape)}, expected uint8 "
            f"[N, T, H, W, C], or [T, H, W, C] of one clip{scale}"
        )
    lengths = found.get(LENGTHS, np.full(len(whole), whole.shape[1]))
    fits = lengths.shape == (len(whole),) and lengths.dtype.kind in "iu"
    if not fits or (lengths < 1).any() or (lengths > whole.shape[1]).any():
        raise DataError(
            f"{path} has {LENGTHS} {lengths.dtype} {list(lengths.shape)}, expected {len(whole)} "
            f"whole numbers from 1 to {whole.shape[1]}"
        )
    return [clip[:length] for clip, length in zip(whole, lengths.tolist(), strict=True)]


def _named(path: Path, labels: np.ndarray, classes: np.ndarray | None) -> list[list[str]]:
    """Return labels as texts."""
    if labels.dtype.kind in "US":
        return [[as_text(label, path, LABELS) for label in row] for row in labels.tolist()]
    if labels.dtype.kind not in "iub":
        raise DataError(f"{path} has {LABELS} {labels.dtype}, expected texts or whole numbers")
    if classes is None:
        return [[str(int(label)) for label in row] for row in labels.tolist()]
    names = [as_text(name, path, CLASSES) for name in classes.ravel().tolist()]
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        raise DataError(f"{path} has {CLASSES} with two {twice[0]!r}; give each a name of its own")
    outside = labels[(labels < 0) | (labels >= len(names))]
    if outside.size:
        raise DataError(
            f"{path} has the label {int(outside[0])}, and {CLASSES} names {len(names)}; expected "
            f"0 to {len(names) - 1}"
        )
    return [[names[int(label)] for label in row] for row in labels.tolist()]
