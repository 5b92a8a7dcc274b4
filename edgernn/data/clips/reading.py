"""What a path holds to train a tagger on, decided by what is found there."""

from __future__ import annotations

from pathlib import Path

from edgernn.data.clips import columns, npz_clips, picture_clips
from edgernn.data.clips.tagged import Tagged
from edgernn.errors import DataError, UsageError
from edgernn.storage.identify import sentence


def read_tagged(path: Path, *, side: int | None = None) -> Tagged:
    """Read sequences with a label a step.

    Args:
        path: an npz file of frames and labels, a folder of pictures with ``labels.csv``, or a file
            of columns, a word and its tag a line.
        side: S, to which pictures of a folder are resized; None where they are of one size.

    Raises:
        DataError: there is nothing, or it cannot be read; names the file and the row.
        UsageError: a side where there are no pictures to resize.
    """
    if path.is_dir():
        return picture_clips.read_folder(path, side=side)
    if side is not None:
        raise UsageError(f"--size is for a folder of pictures, and {path} is none; leave it out")
    if not path.is_file():
        raise DataError(
            f"there is no {path}; expected an npz of frames and labels, a folder of pictures with "
            f"{picture_clips.TABLE}, or a file of words and tags"
        )
    if path.suffix.lower() == ".npz":
        return npz_clips.read_npz(path)
    with path.open("rb") as file:
        if b"\0" in file.read(4096):
            raise DataError(
                f"{sentence(path)}; expected an npz of frames and labels, a folder of pictures, "
                "or a text of words and tags"
            )
    return columns.read_columns(path)
