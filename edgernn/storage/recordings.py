"""Recorded arrays by name, from the files that people keep them in: npz, npy, safetensors, csv.
Nothing is unpickled.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from edgernn import storage
from edgernn.errors import DataError
from edgernn.storage import array_files, tensor_files
from edgernn.storage.array_files import DAMAGED
from edgernn.storage.identify import sentence
from edgernn.wording import some

SUFFIXES = (".npz", ".npy", ".safetensors", ".csv")
_OBJECT = str(np.dtype(object))
_INDEX = re.compile(r"(.+?)[\s._\[(]*(\d+)[\])]?")  # of a column: x0, x_0, x[0]


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the arrays of a recording by name.

    Args:
        path: npz, npy, safetensors or csv, told by its ending.
        names: what is looked for; empty where that is not known. An npy file holds the one, and
            a csv file whose columns have other names its columns, float64 ``[N, columns]``.
            Otherwise the columns ``a``, or ``a0, a1 …``, are the input ``a``: ``[N]`` or
            ``[N, columns]``.

    Raises:
        DataError: missing, damaged, of another kind, or arrays of other names; says which.
    """
    suffix = path.suffix.lower()
    if not path.is_file() or suffix not in SUFFIXES:
        raise DataError(f"{sentence(path)}; expected recorded arrays ({', '.join(SUFFIXES)})")
    try:
        if suffix == ".csv":
            return _of_csv(path, names)
        if suffix == ".safetensors":
            return tensor_files.load(path).tensors()
        with storage.open_to_read(path) as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return {_only(path, names): content}
            return {name: content[name] for name in content.files}
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {storage.reason(error)}; give another file"
        ) from error
    except DAMAGED as error:
        raise _unread(path, error) from error


def as_text(value: object, path: Path, name: str) -> str:
    """Return a label of the array ``name`` of ``path`` as text; bytes are UTF-8.

    Raises:
        DataError: bytes of another encoding, of which two labels might become one.
    """
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} has {name} with {value!r}, which is not UTF-8; save them as text, dtype=str"
        ) from error


def _unread(path: Path, error: Exception) -> DataError:
    """Return the refusal of a file in which numpy met ``error``: damaged, or Python objects."""
    kind = path.suffix.lower().lstrip(".")
    with suppress(DataError):  # its headers say no more
        held, _ = array_files.layout(path, kind)
        for name, (dtype, _) in held.items():
            if dtype == _OBJECT:
                return DataError(
                    f"{path}: {name} holds Python objects, which are not unpickled; save texts "
                    f"as text, np.array({name}, dtype=str), and numbers as numbers"
                )
    return array_files.unread(path, kind, error)


def _only(path: Path, names: Sequence[str]) -> str:
    if not names:
        return path.stem
    if len(names) != 1:
        raise DataError(
            f"{path} holds one array, expected {', '.join(names)}; give them by name in an npz "
            "file, as numpy.savez writes it"
        )
    return names[0]


def _of_csv(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        head = file.readline()
        mark = max(",;\t", key=head.count)
        file.seek(0)
        rows = [(at, row) for at, row in enumerate(csv.reader(file, delimiter=mark), 1) if row]
    header: list[str] = []
    if rows and not all(_is_number(cell) for cell in rows[0][1]):
        header = [cell.strip() for cell in rows.pop(0)[1]]
    if not rows:
        raise DataError(f"{path} has no rows of numbers; expected one a frame")
    width = len(header or rows[0][1])
    values = np.array([_numbers(path, at, row, width) for at, row in rows])  # [N, columns]
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(header):
        found = _INDEX.fullmatch(name)
        base = name if name in names or found is None else found[1]
        groups.setdefault(base, []).append(place)
    if groups and (not names or set(groups) <= set(names)):
        return {
            name: values[:, places[0] if header[places[0]] == name else places]
            for name, places in groups.items()
        }
    if not names:
        return {path.stem: values}
    if len(names) != 1:
        columns = some(header) if header else f"{width} columns without names"
        raise DataError(
            f"{path} has {columns}; expected a header that names the inputs {', '.join(names)}, "
            f"each once or as {names[0]}0, {names[0]}1 …"
        )
    return {names[0]: values}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(path: Path, at: int, row: Sequence[str], width: int) -> list[float]:
    wrong = next((cell for cell in row if not _is_number(cell)), None)
    if wrong is not None:
        raise DataError(f"{path}:{at} has {wrong!r}, expected a number")
    if len(row) != width:
        raise DataError(f"{path}:{at} has {len(row)} values, the first row has {width}")
    return [float(cell) for cell in row]
