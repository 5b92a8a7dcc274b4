"""What the weights of a model file are stored as: the truth about a quantisation, weight by
weight.
"""

from __future__ import annotations

from dataclasses import dataclass

# the layers of a cell, or of its compact form, that multiply the state
FROM_STATE = frozenset({"from_hidden", "from_reset", "joined"})
FLOATS = frozenset({"float16", "float32"})  # dtypes of a weight that no integer stands for
OTHERS = "biases and constants"  # the name of what a table does not list one by one


@dataclass(frozen=True)
class StoredWeight:
    """One weight of a model file.

    Attributes:
        name: of the layer, with dots, as in the model (``recurrent.layers.0.from_hidden``).
        shape: of the float32 weight.
        dtype: as stored: ``float32``, ``float16``, ``int8``, ``int4``, ``palettized4``;
            ``int2`` of three values a row and ``int1`` of two, packed in C.
        block_size: how many values share one scale; 0 where there are no such blocks.
        float32_bytes: what it takes in float32.
        bytes: what it takes in the file: integers, scales and palettes together.
        touched_bytes: what one step of one row reads of it: all, or one row of a table.
        recurrent: whether a recurrent layer multiplies its state by it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    float32_bytes: int
    bytes: int
    touched_bytes: int
    recurrent: bool = False
    block_size: int = 0

    @property
    def is_float(self) -> bool:
        """Whether it is stored as it is computed with, and not as integers."""
        return self.dtype in FLOATS
