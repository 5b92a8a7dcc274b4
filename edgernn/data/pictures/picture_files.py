"""The two files of a picture set, as they lie on a disk: checked when they are read, whoever wrote
them.

pictures.npy     uint8 [N, S, S, 3], the pictures of a split together
pictures.json    version, size, source, the range of each split, names and captions of N pictures
"""

from __future__ import annotations

import json
import tokenize
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgernn import storage
from edgernn.errors import DataError

PICTURES_FILE = "pictures.npy"
DESCRIPTION_FILE = "pictures.json"
VERSION = 1
CHANNELS = 3


def write_header(file: BinaryIO, count: int, size: int) -> None:
    """Write the header of ``pictures.npy``; it is of one length for any ``count``, as numpy leaves
    room.
    """
    shape = (count, size, size, CHANNELS)
    np.lib.format.write_array_header_1_0(
        file, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )


def read_description(path: Path) -> dict[str, Any]:
    """Return the content of ``pictures.json``, every field checked.

    Raises:
        DataError: it is missing, damaged, of another version, or its fields do not fit each other.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"no picture set in {path.parent}: {error.strerror} ({path.name}); make it again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: {error}; make the set again") from error
    fields = document if isinstance(document, dict) else {}
    if fields.get("version") != VERSION:
        raise DataError(
            f"{path} has version {fields.get('version')}, expected {VERSION}; make the set again"
        )
    count = len(fields["names"]) if _are_texts(fields.get("names")) else 0
    valid = {
        "size": type(fields.get("size")) is int and fields["size"] > 0,
        "source": isinstance(fields.get("source"), str),
        "names": count > 0,
        "captions": _are_captions(fields.get("captions"), count),
        "splits": _are_splits(fields.get("splits"), count),
    }
    wrong = [name for name, good in valid.items() if not good]
    if wrong:
        raise DataError(
            f"{path} has no valid {', '.join(wrong)} for {count} pictures; make the set again"
        )
    return fields


def _are_texts(value: object) -> bool:
    return (
        isinstance(value, list) and len(value) > 0 and all(isinstance(each, str) for each in value)
    )


def _are_captions(value: object, count: int) -> bool:
    return (
        isinstance(value, list) and len(value) == count and all(_are_texts(each) for each in value)
    )


def _are_splits(value: object, count: int) -> bool:
    """Whether the ranges of the splits follow each other from 0 to ``count``."""
    if not isinstance(value, dict):
        return False
    end = 0
    for bounds in value.values():
        if not (
            isinstance(bounds, list)
            and len(bounds) == 2
            and all(type(each) is int for each in bounds)
        ):
            return False
        if bounds[0] != end or bounds[1] < end:
            return False
        end = bounds[1]
    return end == count


def map_pictures(path: Path, count: int, size: int) -> npt.NDArray[np.uint8]:
    """Memory-map ``pictures.npy`` for reading: ``count`` pictures of ``size``, uint8 ``[N, S, S,
    3]``.

    Raises:
        DataError: it is missing, damaged, or holds something else.
    """
    shape = (count, size, size, CHANNELS)
    try:
        pictures = np.lib.format.open_memmap(path, mode="r")
        seen_bytes = storage.size_bytes(path)
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror or error}; make the set again"
        ) from error
    except (ValueError, SyntaxError, tokenize.TokenError) as error:
        raise DataError(
            f"{path} is damaged: {' '.join(str(error).split())}; make the set again"
        ) from error
    if pictures.dtype != np.uint8 or pictures.shape != shape or not pictures.flags.c_contiguous:
        raise DataError(
            f"{path} holds {pictures.dtype} {list(pictures.shape)}, but {DESCRIPTION_FILE} "
            f"promises uint8 {list(shape)}; "
            "make the set again"
        )
    if seen_bytes != pictures.offset + pictures.nbytes:
        raise DataError(
            f"{path} has {seen_bytes} bytes, expected {pictures.offset + pictures.nbytes}; "
            "make the set again"
        )
    return pictures
