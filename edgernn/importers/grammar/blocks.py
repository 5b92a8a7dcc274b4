"""The blocks of a network, read from tensors by name: matrices and recurrent layers, in torch's own
row order whatever the file's.

Shapes: I input, H hidden, P what a layer gives (H, or the width of its projection), g gates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from edgernn.errors import CheckpointError

# gates → the cell, and its rows in torch's order, a letter a block
CELL_OF = {1: "rnn", 3: "gru", 4: "lstm", 5: "lstm_maxout"}
TORCH_ROWS = {"rnn": "h", "rnn_relu": "h", "gru": "rzn", "lstm": "ifgo"}


@dataclass(frozen=True, eq=False)
class Matrix:
    """A weight ``[R, C]`` with its bias ``[R]`` or without: a linear layer, or a table of vectors.

    Attributes:
        kind: ``"embedding"`` or ``"linear"`` where the file says so, else nothing.
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray | None = None
    kind: str = ""

    @property
    def rows(self) -> int:
        """R: what a linear layer gives, how many vectors a table has."""
        return int(self.weight.shape[0])

    @property
    def columns(self) -> int:
        """C: what a linear layer takes, how wide a vector is."""
        return int(self.weight.shape[1])


@dataclass(frozen=True, eq=False)
class Layer:
    """One recurrent layer; its rows are those of torch's layer of that cell.

    Attributes:
        cell: a row of ``models.cells.table``.
        w_ih: ``[gH, I]``.
        w_hh: ``[gH, P]``.
        b_ih: ``[gH]``, or None.
        b_hh: ``[gH]``, or None.
        w_hr: the projection of the hidden state, ``[P, H]``, or None.
        reverse: whether it runs from the end to the start.
        others: what else the cell has, by the parameter's own name in it.
    """

    name: str
    cell: str
    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray | None = None
    b_hh: np.ndarray | None = None
    w_hr: np.ndarray | None = None
    reverse: bool = False
    others: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        """I."""
        return int(self.w_ih.shape[1])

    @property
    def outputs(self) -> int:
        """P."""
        return int(self.w_hh.shape[1])

    @property
    def hidden(self) -> int:
        """H."""
        return self.outputs if self.w_hr is None else int(self.w_hr.shape[1])


@dataclass(frozen=True, eq=False)
class Stack:
    """Recurrent layers of one module, from the input up."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def inputs(self) -> int:
        """What its first layer takes."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """What its last layer gives, in both directions where there are two."""
        return self.layers[-1].outputs * (2 if self.bidirectional else 1)

    @property
    def bidirectional(self) -> bool:
        """Whether layers of it run from the end to the start."""
        return any(layer.reverse for layer in self.layers)


@dataclass(frozen=True, eq=False)
class Blocks:
    """What was found among the tensors of a network, each by its module's name, in the file's
    order; ``others`` by the tensor's own.
    """

    matrices: dict[str, Matrix]
    stacks: dict[str, Stack]
    others: dict[str, np.ndarray]

    def matrix(self, name: str) -> Matrix:
        """Return a matrix; raise CheckpointError where there is none of that name."""
        if name not in self.matrices:
            raise CheckpointError(
                f"there is no matrix {name}.weight; found {_listed(self.matrices)}: the file is "
                "cut, or of another network"
            )
        return self.matrices[name]

    def stack(self, name: str) -> Stack:
        """Return the recurrent layers of the module ``name``, or of a list of modules where
        ``name`` ends in ``.*``.

        Raises:
            CheckpointError: there are none, or one of the list is missing.
        """
        if not name.endswith(".*"):
            if name not in self.stacks:
                raise CheckpointError(
                    f"there are no recurrent layers {name}; found {_listed(self.stacks)}: the file "
                    "is cut, or of another network"
                )
            return self.stacks[name]
        start = name.removesuffix("*")
        places = [key.removeprefix(start) for key in self.stacks if key.startswith(start)]
        wanted = [str(place) for place in range(max(len(places), 1))]
        if sorted(places) != sorted(wanted):
            raise CheckpointError(
                f"the recurrent layers of the list {start.rstrip('.')} are "
                f"{_listed(places)}, expected {_listed(wanted)}: the file is cut"
            )
        layers = [layer for place in wanted for layer in self.stacks[start + place].layers]
        if not any(layer.reverse for layer in layers):
            check_chain(layers)
        return Stack(start.rstrip("."), tuple(layers))


def paired(blocks: Blocks, name: str, *, rows: str, cell: str | None = None) -> Layer:
    """Return the recurrent layer that the module ``name`` keeps as two linear layers, ``i2h`` of
    its input and ``h2h`` of its state, as Torch7's networks and their descendants do.

    Args:
        blocks: what was found.
        name: of the module.
        rows: its gates as the file has them, a letter each, as ``ifog``.
        cell: which it is, where the number of gates does not say.

    Raises:
        CheckpointError: one is missing, or their sizes do not fit.
    """
    of_input, of_state = blocks.matrix(f"{name}.i2h"), blocks.matrix(f"{name}.h2h")
    gates = gates_of(f"{name}.h2h.weight", of_state.weight)
    found = cell or CELL_OF[gates]
    order = TORCH_ROWS.get(found, rows)

    def turned(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else in_order(array, rows, order)

    w_ih, w_hh = turned(of_input.weight), turned(of_state.weight)
    assert w_ih is not None and w_hh is not None
    layer = Layer(name, found, w_ih, w_hh, turned(of_input.bias), turned(of_state.bias))
    check(layer)
    return layer


def in_order(array: np.ndarray, rows: str, wanted: str) -> np.ndarray:
    """Return ``array [gH, …]`` with its blocks of rows, of the gates ``rows``, in the order
    ``wanted``; itself where that is its own.
    """
    if rows == wanted:
        return array
    parts = dict(zip(rows, np.split(array, len(rows)), strict=True))  # H rows each
    return np.concatenate([parts[gate] for gate in wanted])  # [gH, …]


def gates_of(name: str, w_hh: np.ndarray, hidden: int | None = None) -> int:
    """Return how many blocks of H rows ``w_hh`` has.

    Raises:
        CheckpointError: a number of which no cell is known.
    """
    width = int(w_hh.shape[1]) if hidden is None else hidden
    gates, rest = divmod(int(w_hh.shape[0]), width) if width else (0, 0)
    if rest or gates not in CELL_OF:
        raise CheckpointError(
            f"{name} has the shape {list(w_hh.shape)} for the hidden size {width}; expected 1 "
            "(RNN), 3 (GRU), 4 (LSTM) or 5 times as many rows as that"
        )
    return gates


def check(layer: Layer) -> None:
    """Raise CheckpointError naming the first tensor of ``layer`` whose size does not fit."""
    rows = layer.w_hh.shape[0]
    wanted = {
        "weight_ih": (layer.w_ih, (rows, layer.inputs)),
        "bias_ih": (layer.b_ih, (rows,)),
        "bias_hh": (layer.b_hh, (rows,)),
        "weight_hr": (layer.w_hr, (layer.outputs, layer.hidden)),
    }
    for name, (array, shape) in wanted.items():
        if array is not None and array.shape != shape:
            raise CheckpointError(
                f"{name} of {layer.name} has the shape {list(array.shape)}, expected "
                f"{list(shape)} beside weight_hh {list(layer.w_hh.shape)}: the file is damaged"
            )


def check_chain(layers: Sequence[Layer]) -> None:
    """Raise CheckpointError where a layer does not take what the one below gives."""
    for below, above in pairwise(layers):
        if above.inputs != below.outputs:
            raise CheckpointError(
                f"{above.name} takes {above.inputs} numbers and {below.name} below it gives "
                f"{below.outputs}: the file is damaged, or they are not one stack"
            )


def _listed(names: Iterable[str]) -> str:
    listed = [name or "(at the root)" for name in names]
    more = f" and {len(listed) - 6} more" if len(listed) > 6 else ""
    return ", ".join(listed[:6]) + more if listed else "none"
