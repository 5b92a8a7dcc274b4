"""The held-out sample of a bundle whose files of fixed sizes take less than its longest rows: only
rows that every file takes can be measured on every file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgernn.contract import Contract, TensorSpec
from edgernn.errors import UsageError
from edgernn.export.source import Tell


def fitting_rows(
    sample: dict[str, np.ndarray], contract: Contract, sizes: Mapping[str, int], tell: Tell
) -> dict[str, np.ndarray]:
    """Return the rows of a held-out sample whose ids end within the sizes of open axes, cut to
    these; ``tell`` hears how many are left.

    Args:
        sample: each array ``[N, …]`` by its name, ids padded with 0; or nothing.
        contract: whose encode graph takes the ids.
        sizes: axis that the contract leaves open → the size that files take.

    Raises:
        UsageError: no row is left.
    """
    given = () if contract.encode is None else contract.encode.fresh_inputs
    for spec in given:
        for axis in spec.axes:
            if spec.is_ids and spec.name in sample and axis in sizes:
                sample = _within(sample, spec, axis, sizes[axis], tell)
    return sample


def _within(
    sample: dict[str, np.ndarray], spec: TensorSpec, axis: str, size: int, tell: Tell
) -> dict[str, np.ndarray]:
    ids = np.moveaxis(sample[spec.name], spec.axes.index(axis), 1)  # [N, S, …]
    told = ids.reshape(*ids.shape[:2], -1).any(2)  # [N, S]
    lengths = np.where(told, np.arange(1, ids.shape[1] + 1), 0).max(1, initial=0)  # [N]
    fits = lengths <= size
    if fits.all():
        return sample
    if not fits.any():
        raise UsageError(
            f"--axis {axis}={size} takes none of the {len(fits)} held-out rows, the shortest of "
            f"which has {lengths.min()} ids; give a larger size"
        )
    tell(
        f"--axis {axis}={size} takes {fits.sum()} of the {len(fits)} held-out rows, which are "
        f"what the bundle is measured on; the longest has {lengths.max()} ids"
    )
    kept = {name: array[fits] for name, array in sample.items()}
    return {**kept, spec.name: kept[spec.name].take(range(size), spec.axes.index(axis))}
