"""Faults of the cells that torch lacks: two gates exchanged, as by a converter that takes another
order of rows for its own.
"""

from __future__ import annotations

import numpy as np
import onnx
from _faulty import Fault
from _faulty_onnx import on_onnx, set_weight, weight

from edgernn.models.cells.table import CELLS, FUSED

_HIDDEN = 8  # of every recipe of a cell


def _first_two_gates_exchanged(model: onnx.ModelProto) -> None:
    """Exchange the first two blocks of rows of the first matrix of the layer, or, where that is of
    one gate, all of it with the next as large.
    """
    head = model.graph.initializer[-1].name
    names = [
        each.name
        for each in model.graph.initializer
        if len(each.dims) == 2 and each.name != head and "embedding" not in each.name
    ]
    name, value = names[0], weight(model, names[0])
    axis = int(name.startswith("onnx::MatMul"))  # which are transposed
    blocks = np.split(value, value.shape[axis] // _HIDDEN, axis)
    if len(blocks) == 1:
        other = next(each for each in names[1:] if weight(model, each).shape == value.shape)
        set_weight(model, name, weight(model, other))
        set_weight(model, other, value)
        return
    blocks[:2] = blocks[1::-1]
    set_weight(model, name, np.concatenate(blocks, axis))


FAULTS = tuple(
    Fault(
        f"two gates of {cell} exchanged",
        "another order of rows",
        on_onnx(_first_two_gates_exchanged),
        ("rollout", "golden"),
        r"worst \w+ .* at call \d+ \(tolerance 0\.0001\)",
        honest=cell,
    )
    for cell in CELLS
    if cell not in FUSED
)
