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
    """Exchange the first two blocks of rows of the first matrix of the layer."""
    head = model.graph.initializer[-1].name
    name = next(
        each.name
        for each in model.graph.initializer
        if len(each.dims) == 2 and each.name != head and "embedding" not in each.name
    )
    value, axis = weight(model, name), int(name.startswith("onnx::MatMul"))  # which are transposed
    blocks = np.split(value, value.shape[axis] // _HIDDEN, axis)
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
