"""Ids along an axis that the contract leaves open and a file takes in one size alone: the caller
pads them with 0 at the end, which is what models that read such a sequence take for its end.
"""

from __future__ import annotations

import numpy as np

from edgernn.contract import FileContract
from edgernn.errors import UsageError
from edgernn.sessions.base import Arrays


def padded(inputs: Arrays, file_contract: FileContract) -> dict[str, np.ndarray]:
    """Return what ``encode`` is given, its ids followed by 0 up to the size that a file takes.

    Args:
        inputs: of the encode graph by name, ids ``[…, S]`` at any place of the open axis.
        file_contract: of the file, whose narrowing names that axis.

    Raises:
        UsageError: there are more ids than the file takes.
    """
    contract, made = file_contract.contract, dict(inputs)
    narrowed = {
        axis: file_contract.narrowing.axes[axis]
        for axis in contract.open_axes
        if axis in file_contract.narrowing.axes
    }
    for spec in () if contract.encode is None or not narrowed else contract.encode.fresh_inputs:
        if not spec.is_ids or spec.name not in made:
            continue
        array, wanted = made[spec.name], [narrowed.get(axis) for axis in spec.axes]
        if array.ndim != len(wanted):
            continue  # what is wrong with it is told where it is taken
        room = [(0, (size or own) - own) for size, own in zip(wanted, array.shape, strict=True)]
        for axis, own, (_, more) in zip(spec.axes, array.shape, room, strict=True):
            if more < 0:
                raise UsageError(
                    f"{spec.name} has {own} ids, and the file takes {narrowed[axis]} along "
                    f"{axis}; shorten it, or export with --axis {axis}={own}"
                )
        made[spec.name] = np.pad(array, room)
    return made
