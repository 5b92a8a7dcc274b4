"""Features of pictures from a file: what a captioner sees without a picture encoder of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgernn.contract import BATCH, Contract, GraphSpec, TensorSpec
from edgernn.errors import DataError
from edgernn.storage.recordings import SUFFIXES, read_arrays
from edgernn.wording import some

FEATURE_SUFFIXES = tuple(suffix for suffix in SUFFIXES if suffix != ".csv")


def features_words(contract: Contract) -> str:
    """Return in words what encode of ``contract`` takes, as ``fc [N, 2048], att [N, regions,
    512]``.
    """
    specs = (contract.encode or contract.step).fresh_inputs
    return ", ".join(_layout(spec, contract) for spec in specs)


def read_features(path: Path, contract: Contract) -> list[dict[str, np.ndarray]]:
    """Read the features of one or more pictures.

    Args:
        path: npz, npy or safetensors, told by its ending; arrays by the names of encode's inputs,
            each with a row a picture, or without, where it holds those of one. Floats of any width
            are taken.
        contract: of the captioner.

    Returns:
        what encode sees of each picture by name, each ``[1, …]`` float32.

    Raises:
        DataError: missing, damaged, of another kind, or arrays of other names, shapes or dtypes.
    """
    if path.suffix.lower() not in FEATURE_SUFFIXES:
        raise DataError(
            f"{path}: the model sees no pictures but features of them; give "
            f"{features_words(contract)} by name in a file of {', '.join(FEATURE_SUFFIXES)}"
        )
    encode: GraphSpec = contract.encode or contract.step
    names = [spec.name for spec in encode.fresh_inputs]
    found = read_arrays(path, names)
    if lacking := [name for name in names if name not in found]:
        raise DataError(
            f"{path} has {some(sorted(found))} and no {', '.join(lacking)}; expected "
            f"{features_words(contract)}"
        )
    rows = {spec.name: _rows(path, spec, found[spec.name], contract) for spec in encode.inputs}
    counts = {name: len(array) for name, array in rows.items()}
    if len({*counts.values()}) != 1:
        raise DataError(f"{path} has {counts} rows, expected as many of each: a row a picture")
    count = next(iter(counts.values()))
    return [{name: array[at : at + 1] for name, array in rows.items()} for at in range(count)]


def _rows(path: Path, spec: TensorSpec, array: np.ndarray, contract: Contract) -> np.ndarray:
    """Return ``array`` with a first axis of rows, in the dtype of ``spec``."""
    whole = array[None] if array.ndim == len(spec.axes) - 1 else array
    wanted = [contract.sizes.get(axis) for axis in spec.axes[1:]]
    fits = array.dtype.kind == "f" and whole.ndim == len(spec.axes) and whole.size
    if not fits or any(w not in (None, n) for w, n in zip(wanted, whole.shape[1:], strict=True)):
        raise DataError(
            f"{path} has {spec.name} {array.dtype} {list(array.shape)}, expected "
            f"{_layout(spec, contract)}, floats"
        )
    if not np.isfinite(whole).all():
        raise DataError(f"{path} has a value in {spec.name} that is not finite; make it anew")
    return np.ascontiguousarray(whole, dtype=spec.dtype)


def _layout(spec: TensorSpec, contract: Contract) -> str:
    sizes = ["N" if axis == BATCH else str(contract.sizes.get(axis, axis)) for axis in spec.axes]
    return f"{spec.name} [{', '.join(sizes)}]"
