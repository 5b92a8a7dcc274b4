"""Grey pictures with a label each: a folder of pictures for each label, or an npz file.

npz: ``pictures`` uint8 ``[N, H, W]`` or ``[N, H, W, 1]``, 0 black, and ``labels [N]``, texts or
whole numbers; nothing is unpickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgernn.data.pictures.pictures import open_picture, pictures_in
from edgernn.errors import DataError
from edgernn.storage.recordings import as_text, read_arrays
from edgernn.wording import some

PICTURES, LABELS = "pictures", "labels"
_BILINEAR = 2  # to Pillow; it looks at all pixels where a picture becomes smaller
_GREY = np.array([299, 587, 114], np.uint32)  # of red, green and blue, in thousandths (BT.601)


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """Pictures of one size.

    Attributes:
        pictures: uint8 ``[N, H, W, 1]``.
        labels: of each.
    """

    pictures: np.ndarray
    labels: list[str]


def read_labelled(path: Path, *, side: int, most: int = 1 << 20) -> LabelledPictures:
    """Read pictures with their labels.

    Args:
        path: a folder of folders, each called as the label of its pictures, or an npz file.
        side: of the square that a picture file is stretched to, in pixels; those of an npz file
            stay as they are.
        most: pixels that one may have.

    Raises:
        DataError: missing, damaged, or not laid out so; says where.
        UnavailableError: Pillow is not installed, and the pictures are files.
    """
    found = _of_folder(path, side) if path.is_dir() else _of_npz(path)
    _, height, width, _ = found.pictures.shape
    if height * width > most:
        raise DataError(
            f"{path} has pictures of {height} x {width} pixels, expected {most:,} pixels or fewer; "
            "give smaller ones"
        )
    return found


def load_grey(path: Path, height: int, width: int) -> np.ndarray:
    """Read a picture file, stretched to a size, as uint8 ``[H, W, 1]``; raises as
    ``open_picture``.
    """
    picture = open_picture(path)
    if picture.size != (width, height):
        picture = picture.resize((width, height), _BILINEAR)
    return grey(np.array(picture, dtype=np.uint8))


def grey(picture: np.ndarray) -> np.ndarray:
    """Return the brightness of ``picture [H, W, 3]``, uint8, as uint8 ``[H, W, 1]``."""
    made: np.ndarray = ((picture @ _GREY + 500) // 1000).astype(np.uint8)[..., None]
    return made


def _of_folder(folder: Path, side: int) -> LabelledPictures:
    files = pictures_in(folder)
    if not files:
        raise DataError(
            f"{folder} has no pictures; expected a folder of pictures for each label, or an npz "
            f"file of {PICTURES} and {LABELS}"
        )
    labels = [path.relative_to(folder).parts[0] for path in files]
    if alone := next((path for path in files if path.parent == folder), None):
        raise DataError(
            f"{alone} lies in no folder of {folder}, whose name would be its label; expected "
            f"{folder / 'LABEL' / alone.name}"
        )
    return LabelledPictures(np.stack([load_grey(path, side, side) for path in files]), labels)


def _of_npz(path: Path) -> LabelledPictures:
    found = read_arrays(path, [PICTURES])
    if lacking := [name for name in (PICTURES, LABELS) if name not in found]:
        raise DataError(
            f"{path} has {some(sorted(found))} and no {lacking[0]}; expected {PICTURES} uint8 "
            f"[N, H, W] and {LABELS} [N]"
        )
    pictures, labels = found[PICTURES], found[LABELS]
    whole = pictures[..., None] if pictures.ndim == 3 else pictures
    if pictures.dtype != np.uint8 or whole.ndim != 4 or whole.shape[3] != 1 or not whole.size:
        scale = "; multiply parts of 1 by 255" if pictures.dtype.kind == "f" else ""
        raise DataError(
            f"{path} has {PICTURES} {pictures.dtype} {list(pictures.shape)}, expected uint8 "
            f"[N, H, W]{scale}"
        )
    if labels.shape != (len(whole),) or labels.dtype.kind not in "iubUS":
        raise DataError(
            f"{path} has {LABELS} {labels.dtype} {list(labels.shape)}, expected texts or whole "
            f"numbers [{len(whole)}], one for each picture"
        )
    names = [as_text(value, path, LABELS) for value in labels.tolist()]
    if (empty := next((p for p, name in enumerate(names) if not name.strip()), None)) is not None:
        raise DataError(f"{path}, picture {empty}: its label is empty; give it one")
    return LabelledPictures(whole, [name.strip() for name in names])
