"""Features of a picture, for a captioner without a picture encoder of its own."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from errors import BundleError, first_line
from tensors import Arrays


def read_features(path: Path, specs: list[dict[str, Any]], sizes: dict[str, int]) -> Arrays:
    """Read the inputs of encode by name from an npz file, each of one picture: ``[1, …]``, or
    without the batch.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            found = {name: content[name] for name in content.files}
    except (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise BundleError(
            f"cannot read the features {path}: {first_line(error)}; expected an npz file, as "
            "numpy.savez writes it; give one"
        ) from error
    return {spec["name"]: _one(path, spec, found.get(spec["name"]), sizes) for spec in specs}


def _one(
    path: Path, spec: dict[str, Any], array: np.ndarray | None, sizes: dict[str, int]
) -> np.ndarray:
    axes = spec["axes"]
    wanted = [1 if axis == "batch" else sizes.get(axis, axis) for axis in axes]
    if array is not None and array.ndim == len(axes) - 1 and axes[0] == "batch":
        array = array[None]
    fits = array is not None and array.ndim == len(axes) and array.dtype.kind == "f"
    if (
        array is None
        or not fits
        or any(
            (size != asked and isinstance(asked, int)) or not size
            for size, asked in zip(array.shape, wanted, strict=True)
        )
    ):
        has = "nothing" if array is None else f"{array.dtype} {list(array.shape)}"
        raise BundleError(
            f"{path} has {has} as {spec['name']}, expected floats {wanted}; change it"
        )
    return np.ascontiguousarray(array, spec["dtype"])
