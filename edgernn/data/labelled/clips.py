"""Clips of frames with a label each, from an npz file; nothing is unpickled.

frames [N, T, F]            N clips of T frames, with lengths [N] where some are shorter
frames [ΣT, F], lengths [N] the clips one after another
arr_0 [T, F], arr_1 …       a clip an array, as numpy.savez(path, *clips, label=…) writes them
label [N]                   whole numbers or texts
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgernn.errors import DataError
from edgernn.storage.array_files import layout
from edgernn.storage.recordings import as_text, read_arrays
from edgernn.wording import some

FRAMES, LENGTHS, LABEL = "frames", "lengths", "label"
_CLIP = re.compile(r"arr_(\d+)")
_EXPECTED = "frames [N, T, F], with lengths [N] where clips differ, and label [N]"


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of frames.

    Attributes:
        frames: a float32 ``[T, F]`` for each, T its own.
        labels: of each; empty where the file has none.
    """

    frames: list[np.ndarray]
    labels: list[str]

    @property
    def width(self) -> int:
        """F, the numbers of a frame."""
        return int(self.frames[0].shape[1])


def read_clips(path: Path, *, labelled: bool = True) -> Clips:
    """Read the clips of an npz file; its labels, too, where it has them or they are wanted.

    Raises:
        DataError: missing, damaged, or arrays that do not fit each other; says which.
    """
    held, _ = layout(path, "npz")
    objects = [name for name, (dtype, _) in held.items() if "object" in dtype and name != LABEL]
    if objects:
        raise DataError(
            f"{path} has {objects[0]} as Python objects, which are not unpickled; save clips of "
            "several lengths with numpy.savez(path, *clips, label=labels)"
        )
    arrays = read_arrays(path, [])
    frames = _clips(path, arrays)
    for place, clip in enumerate(frames):
        if clip.shape[1] != frames[0].shape[1]:
            told = f"frames of {clip.shape[1]} numbers, the first has {frames[0].shape[1]}"
            raise DataError(f"{path}, clip {place}: {told}; all need as many")
        if not np.isfinite(clip).all():
            at = int(np.flatnonzero(~np.isfinite(clip).all(1))[0])
            raise DataError(f"{path}, clip {place}, frame {at}: a value that is not finite")
    return Clips(frames, _labels(path, arrays, len(frames), labelled=labelled))


def _clips(path: Path, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    if FRAMES in arrays:
        found = _of_one(path, arrays[FRAMES], arrays.get(LENGTHS))
    else:
        numbered = {int(m[1]): n for n in arrays if (m := _CLIP.fullmatch(n)) is not None}
        found = [arrays[numbered[place]] for place in sorted(numbered)]
    if not found:
        raise DataError(f"{path} has the arrays {some(sorted(arrays))}, expected {_EXPECTED}")
    for place, clip in enumerate(found):
        if clip.ndim != 2 or clip.dtype.kind not in "fiu" or not clip.size:
            told = f"{clip.dtype} {list(clip.shape)}, expected numbers [T, F]"
            raise DataError(f"{path}, clip {place}: {told}")
    return [np.ascontiguousarray(clip, np.float32) for clip in found]


def _of_one(path: Path, frames: np.ndarray, lengths: np.ndarray | None) -> list[np.ndarray]:
    """Return the clips of one array ``[N, T, F]`` or ``[ΣT, F]``."""
    told = f"{path} has {FRAMES} {frames.dtype} {list(frames.shape)}"
    if frames.ndim not in {2, 3} or (frames.ndim == 2 and lengths is None):
        raise DataError(f"{told}, expected {_EXPECTED}")
    if lengths is None:
        return list(frames)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 1).any():
        shown = f"{LENGTHS} {lengths.dtype} {list(lengths.shape)}"
        raise DataError(f"{path} has {shown}, expected a whole number above 0 for each clip")
    if frames.ndim == 2:
        if lengths.sum() != len(frames):
            raise DataError(f"{told}, and {LENGTHS} that make {lengths.sum()}")
        return np.split(frames, np.cumsum(lengths)[:-1])
    if len(lengths) != len(frames) or lengths.max() > frames.shape[1]:
        raise DataError(f"{told}, and {len(lengths)} {LENGTHS} of up to {lengths.max()}")
    return [clip[:length] for clip, length in zip(frames, lengths, strict=True)]


def _labels(path: Path, arrays: dict[str, np.ndarray], count: int, *, labelled: bool) -> list[str]:
    if LABEL not in arrays:
        if labelled:
            raise DataError(f"{path} has no {LABEL}, it has {some(sorted(arrays))}")
        return []
    label = arrays[LABEL]
    if label.shape != (count,) or label.dtype.kind not in "iubUS":
        told = f"{LABEL} {label.dtype} {list(label.shape)}, expected whole numbers or texts"
        raise DataError(f"{path} has {told} [{count}], one for each clip")
    names = [as_text(value, path, LABEL) for value in label.tolist()]
    if (empty := next((p for p, name in enumerate(names) if not name.strip()), None)) is not None:
        raise DataError(f"{path}, clip {empty}: its {LABEL} is empty")
    return [name.strip() for name in names]
