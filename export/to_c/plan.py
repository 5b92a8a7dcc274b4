"""Where everything lies: scratch memory in slots that storages share in turns, constants in the
file of weights or in the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgernn.errors import ContractError
from edgernn.export.to_c.program import Joined, Node, Product, Program
from edgernn.export.to_c.views import CONSTANT, SCRATCH, Storage

MOST_SCRATCH_BYTES = 4 << 20  # half of what a thread has for all that it calls
_ALIGNED = 16  # floats: constants begin at multiples of 64 bytes
WIDTHS = (64, 32)  # rows of a panel: as many sums as are kept in registers
C_TYPES = {
    "float32": "float",
    "int64": "int64_t",
    "int32": "int32_t",
    "uint8": "uint8_t",
    "int8": "int8_t",
    "bool": "uint8_t",
}


@dataclass
class Slot:
    """Scratch memory of one dtype: how many elements the largest storage in it has."""

    dtype: str
    size: int
    until: int  # the last node that needs what is in it

    @property
    def bytes(self) -> int:
        """How many bytes it takes."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass
class Plan:
    """Where each storage lies.

    Attributes:
        slots: of the scratch memory.
        places: scratch storage → its slot's number.
        weights: what the file of weights holds, float32, in order.
        offsets: storage, or product, → where in the weights its constants begin.
        tables: constants that stand in the text.
    """

    slots: list[Slot] = field(default_factory=list)
    places: dict[Storage, int] = field(default_factory=dict)
    weights: list[np.ndarray] = field(default_factory=list)
    offsets: dict[int, int] = field(default_factory=dict)
    tables: dict[Storage, str] = field(default_factory=dict)
    count: int = 0

    @property
    def scratch_bytes(self) -> int:
        """How many bytes of the stack the slots take."""
        return sum(slot.bytes for slot in self.slots)

    def blob(self) -> bytes:
        """Return the file of weights, little-endian float32."""
        made = [np.asarray(part, "<f4").tobytes() for part in self.weights]
        return b"".join(made)

    def store(self, key: int, values: np.ndarray) -> None:
        """Put constants at the end of the weights, and what fills up to the next place."""
        self.offsets[key] = self.count
        filling = -values.size % _ALIGNED
        self.weights += [values.ravel(), np.zeros(filling, np.float32)]
        self.count += values.size + filling


def plan_of(program: Program) -> Plan:
    """Return where everything lies.

    Raises:
        ContractError: the scratch memory is more than a stack holds.
    """
    plan, last = Plan(), _last_uses(program)
    for at, node in enumerate(program.nodes):
        for storage in _written(node):
            if storage.kind == SCRATCH and storage not in plan.places:
                plan.places[storage] = _slot(plan, storage, at, last.get(storage, at))
        for view in node.reads():
            _place_constant(plan, view.storage)
        if isinstance(node, Product):
            plan.store(id(node), packed(node.matrix, node.bias))
    if plan.scratch_bytes > MOST_SCRATCH_BYTES:
        raise ContractError(
            f"the graph needs {plan.scratch_bytes} bytes of scratch memory, expected "
            f"{MOST_SCRATCH_BYTES} at most, for c takes it from the stack; leave c out"
        )
    return plan


def _written(node: Node) -> list[Storage]:
    parts = node.stored if isinstance(node, Joined) else (node,)
    return [part.out.storage for part in parts]


def _last_uses(program: Program) -> dict[Storage, int]:
    """Return storage → the last node that reads or writes it."""
    last: dict[Storage, int] = {}
    for at, node in enumerate(program.nodes):
        for storage in (*_written(node), *(view.storage for view in node.reads())):
            last[storage] = at
    return last


def _slot(plan: Plan, storage: Storage, at: int, until: int) -> int:
    """Return the number of a slot that is free from node ``at`` on, of the nearest size, or of a
    new one.
    """
    free = [
        number
        for number, slot in enumerate(plan.slots)
        if slot.until < at and slot.dtype == storage.dtype
    ]
    if not free:
        plan.slots.append(Slot(storage.dtype, storage.size, until))
        return len(plan.slots) - 1
    number = min(free, key=lambda own: abs(plan.slots[own].size - storage.size))
    slot = plan.slots[number]
    slot.size, slot.until = max(slot.size, storage.size), until
    return number


def _place_constant(plan: Plan, storage: Storage) -> None:
    if storage.kind != CONSTANT or id(storage) in plan.offsets or storage in plan.tables:
        return
    assert storage.values is not None
    if storage.dtype not in C_TYPES:
        raise ContractError(
            f"c holds {', '.join(C_TYPES)}, and the graph has a constant of {storage.dtype}; "
            "leave c out"
        )
    if storage.dtype == "float32":
        plan.store(id(storage), storage.values)
    else:
        plan.tables[storage] = f"table{len(plan.tables)}"


def panels(rows: int) -> list[tuple[int, int]]:
    """Return the panels that ``rows`` rows of a matrix are cut into: how many rows each holds, and
    how many of them are there; the rest is zeros.
    """
    wide, narrow = WIDTHS
    found = [(wide, wide)] * (rows // wide)
    rest = rows % wide
    return [*found, (narrow if rest <= narrow else wide, rest)] if rest else found


def packed(matrix: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return a matrix ``[K, N]`` as its product reads it: panel by panel, first the bias of its
    rows, then for each k the weights of all of them.
    """
    depth, rows = matrix.shape
    parts, start = [], 0
    for width, count in panels(rows):
        panel = np.zeros((depth + 1, width), np.float32)
        panel[1:, :count] = matrix[:, start : start + count]
        if bias is not None:
            panel[0, :count] = bias[start : start + count]
        parts.append(panel.ravel())
        start += count
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
