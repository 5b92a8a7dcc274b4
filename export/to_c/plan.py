"""Where everything lies: scratch memory in slots that storages share in turns, constants in the
file of weights or in the text.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

from edgernn.errors import ContractError
from edgernn.export.to_c.integer_nodes import Gated, GatherRows, IntegerProduct, IntegerRow
from edgernn.export.to_c.matrices import PANEL, FloatMatrix, IntegerMatrix, packed
from edgernn.export.to_c.program import Node, Product, Program, Row
from edgernn.export.to_c.views import CONSTANT, SCRATCH, Storage, View

MOST_SCRATCH_BYTES = 4 << 20  # half of what a thread has for all that it calls
_ALIGNED = 64  # bytes, at multiples of which constants begin
C_TYPES = {
    "float32": "float",
    "int64": "int64_t",
    "int32": "int32_t",
    "int16": "int16_t",
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
        placed: scratch storage → the part of a state that it lies in.
        rows: row of a table that is read where it lies → its number.
        integer_rows: those of tables of integers → the table.
        many: what a loop behind panels makes → how many units it goes over at once.
        local_bytes, small_bytes: of the stack, the most that such a loop takes beside the slots,
            and that with 16 units at once.
        weights: what the file of weights holds, in order.
        offsets: key of what is constant → at which byte of the weights it begins.
        tables: constants that stand in the text.
    """

    slots: list[Slot] = field(default_factory=list)
    places: dict[Storage, int] = field(default_factory=dict)
    placed: Mapping[Storage, View] = field(default_factory=dict)
    rows: dict[Storage, int] = field(default_factory=dict)
    integer_rows: dict[Storage, IntegerMatrix] = field(default_factory=dict)
    many: dict[Storage, int] = field(default_factory=dict)
    local_bytes: int = 0
    small_bytes: int = 0
    weights: list[bytes] = field(default_factory=list)
    offsets: dict[Hashable, int] = field(default_factory=dict)
    tables: dict[Storage, str] = field(default_factory=dict)
    count: int = 0

    @property
    def scratch_bytes(self) -> int:
        """How many bytes of the stack the values of a call take."""
        return sum(slot.bytes for slot in self.slots) + self.local_bytes

    @property
    def small_scratch_bytes(self) -> int:
        """The same where 16 units are gone over at once."""
        return self.scratch_bytes - self.local_bytes + self.small_bytes

    def blob(self) -> bytes:
        """Return the file of weights, little-endian."""
        return b"".join(self.weights)

    def store(self, key: Hashable, content: bytes) -> None:
        """Put constants at the end of the weights, and what fills up to the next place."""
        self.offsets[key] = self.count
        filling = -len(content) % _ALIGNED
        self.weights += [content, bytes(filling)]
        self.count += len(content) + filling


def plan_of(program: Program) -> Plan:
    """Return where everything lies.

    Raises:
        ContractError: the scratch memory is more than a stack holds.
    """
    plan, last = Plan(placed=program.placed), _last_uses(program)
    for at, node in enumerate(program.nodes):
        for storage in _written(node):
            own = storage.kind == SCRATCH and storage not in plan.placed
            if own and storage not in plan.places:
                plan.places[storage] = _slot(plan, storage, at, last.get(storage, at))
        for view in node.reads():
            _place_constant(plan, view.storage)
        _store_matrix(plan, node)
        _number_row(plan, node)
        if isinstance(node, Gated):
            _choose_units(plan, node)
    if plan.scratch_bytes > MOST_SCRATCH_BYTES:
        raise ContractError(
            f"the graph needs {plan.scratch_bytes} bytes of scratch memory, expected "
            f"{MOST_SCRATCH_BYTES} at most, for c takes it from the stack; leave c out"
        )
    return plan


def _floats(values: np.ndarray) -> bytes:
    return np.asarray(values, "<f4").tobytes()


def key_of(node: Product) -> Hashable:
    """Return what the weights of a product stand under: several products may have the same."""
    return id(node.matrix), id(node.bias)


def _store_matrix(plan: Plan, node: Node) -> None:
    if isinstance(node, Product):
        assert isinstance(node.matrix, FloatMatrix)
        if key_of(node) not in plan.offsets:
            plan.store(key_of(node), _floats(packed(node.matrix.values, node.bias)))
    elif isinstance(node, IntegerProduct):
        plan.store(id(node), node.matrix.packed(node.bias, sums=node.with_sums))
    elif isinstance(node, Gated):
        for own in node.products:
            matrix, bias = node.matrix_of(own)
            plan.store(id(own), matrix.packed(bias, sums=own.with_sums))
    elif isinstance(node, GatherRows) and id(node.table) not in plan.offsets:
        plan.store(id(node.table), node.table.table())
        plan.store((id(node.table), "scales"), _floats(node.table.scales))


def _choose_units(plan: Plan, node: Gated) -> None:
    """Let a loop go over all its units at once, or as many as fit among the blocks of the rows of
    tables that it reads.
    """
    tables = [plan.integer_rows.get(view.storage) for view in node.reads()]
    blocks = [own.block for own in tables if own is not None and own.block < own.depth]
    many = max(
        count
        for count in range(PANEL, node.units + 1, PANEL)
        if node.units % count == 0 and all(block % count == 0 for block in blocks)
    )
    plan.many[node.out.storage] = many
    plan.local_bytes = max(plan.local_bytes, 4 * node.local_floats(many))
    plan.small_bytes = max(plan.small_bytes, 4 * node.local_floats(PANEL))


def _number_row(plan: Plan, node: Node) -> None:
    if isinstance(node, Row | IntegerRow):
        plan.rows[node.out.storage] = len(plan.rows)
    if isinstance(node, IntegerRow):
        plan.integer_rows[node.out.storage] = node.table


def _written(node: Node) -> list[Storage]:
    return [view.storage for view in node.writes()]


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
        plan.store(id(storage), _floats(storage.values))
    else:
        plan.tables[storage] = f"table{len(plan.tables)}"
