"""What an ExecuTorch program holds: its methods, their values, operators and delegates, and the
constants; as ``schema/program.fbs`` of ExecuTorch says.

The file is a flatbuffer, then segments: the constants of the program, and what its delegates are
given. A header behind the identifier says where the flatbuffer ends and the segments begin.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np

from edgernn import storage
from edgernn.errors import ContractError
from edgernn.storage.flatbuffer import Table

IDENTIFIER = b"ET12"
_HEADER = struct.Struct(
    "<4sIQQQ"
)  # magic, its length, the program's size, base and size of segments
_HEADER_AT, _MAGIC = 8, b"eh00"
_INT, _TENSOR, _STRING, _INTS, _TENSOR_LISTS = (
    2,
    5,
    6,
    7,
    (10, 11),
)  # of the union of what a value may be
KERNEL, DELEGATE, MOVE, JUMP, FREE = range(1, 6)  # of the union of instructions
DTYPES = {  # by the number of torch's scalar type
    0: "uint8",
    1: "int8",
    2: "int16",
    3: "int32",
    4: "int64",
    5: "float16",
    6: "float32",
    7: "float64",
    11: "bool",
    27: "uint16",
    28: "uint32",
    29: "uint64",
}


@dataclass(frozen=True)
class Value:
    """One value of a method.

    Attributes:
        kind: its number in the union of what a value may be; 0 where it is nothing at all.
        dtype: of a tensor; "" of anything else.
        shape: of a tensor.
        fixed: whether a tensor's shape cannot change.
        constant: where a constant's data stands in the list of the program's; 0 of what is none.
        memory: where a tensor lies in the memory that the method plans: which part of it, and the
            two halves of the offset; None where it has no place there.
        members: of a list of tensors or of whole numbers, the places of its values.
        text: of a text.
    """

    kind: int = 0
    dtype: str = ""
    shape: tuple[int, ...] = ()
    fixed: bool = True
    constant: int = 0
    memory: tuple[int, int, int] | None = None
    members: tuple[int, ...] = ()
    text: str = ""

    @property
    def planned(self) -> bool:
        """Whether it is a tensor with a place in the memory that the method plans."""
        return self.memory is not None


@dataclass(frozen=True)
class Instruction:
    """One instruction: its kind, which operator or delegate it calls, and the places of the
    values.
    """

    kind: int
    index: int
    arguments: tuple[int, ...]


@dataclass(frozen=True)
class Delegate:
    """A part of a method that a backend runs: the backend's name, and what it is given."""

    backend: str
    content: memoryview


@dataclass(frozen=True)
class Method:
    """One method: places of its inputs and outputs among its values, and what it does in order."""

    name: str
    values: tuple[Value, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[str, ...]
    delegates: tuple[Delegate, ...]
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True)
class Program:
    """An ExecuTorch program; ``named`` is the data that delegates read by name."""

    version: int
    methods: tuple[Method, ...]
    named: Mapping[str, memoryview]
    constants: memoryview
    offsets: tuple[int, ...] = field(repr=False)

    @cached_property
    def by_name(self) -> dict[str, Method]:
        """The methods by name."""
        return {method.name: method for method in self.methods}

    def text(self, name: str) -> str | None:
        """Return the text that the method ``name`` returns without computing; None where there is
        no such method.
        """
        method = self.by_name.get(name)
        if method is None or method.instructions or len(method.outputs) != 1:
            return None
        return method.values[method.outputs[0]].text

    def array(self, value: Value) -> np.ndarray:
        """Return what a constant holds."""
        if value.dtype not in DTYPES.values():
            raise ValueError(f"a constant is of {value.dtype}, which is none of those known")
        start, count = self.offsets[value.constant], prod(value.shape)
        dtype = np.dtype(value.dtype)
        part = self.constants[start : start + count * dtype.itemsize]
        return np.frombuffer(part, dtype, count).reshape(value.shape)


def read_program(path: Path) -> Program:
    """Read the program at ``path``.

    Raises:
        ContractError: it is no ExecuTorch program, or a damaged one; says where.
    """
    try:
        return _program(memoryview(storage.read_bytes(path)))
    except (ValueError, IndexError, struct.error) as error:
        raise ContractError(
            f"{path} is not a whole ExecuTorch program: {error}; copy it or export it again"
        ) from error
    except OSError as error:
        raise ContractError(f"{path} cannot be read: {storage.reason(error)}") from error


def _program(data: memoryview) -> Program:
    root = Table.root(data, IDENTIFIER)
    size, base, length = _header(data)
    inner = Table(data[:size], root.at)
    segments = [
        _part(data[base : base + length], segment.whole(0, "Q"), segment.whole(1, "Q"))
        for segment in inner.tables(4)
    ]
    constants = inner.table(5)
    inline = [bytes(entry.array(0, "u1")) for entry in inner.tables(3)]
    methods = tuple(_method(plan, segments, inline) for plan in inner.tables(1))
    made = Program(
        version=inner.whole(0, "I"),
        methods=methods,
        named={entry.text(0): segments[entry.whole(1, "I")] for entry in inner.tables(7)},
        constants=memoryview(b"") if constants is None else segments[constants.whole(0, "I")],
        offsets=() if constants is None else tuple(constants.numbers(1, "Q")),
    )
    for method in methods:
        for value in method.values:
            if value.constant:
                made.array(value)  # raises where it is cut off
    return made


def _header(data: memoryview) -> tuple[int, int, int]:
    """Return the flatbuffer's size, and where the segments begin and how many bytes they take; a
    program that holds no numbers has no header and no segments.
    """
    if len(data) < _HEADER_AT + _HEADER.size:
        raise ValueError(f"it has {len(data)} bytes, which do not hold a header")
    magic, _, size, base, length = _HEADER.unpack_from(data, _HEADER_AT)
    if magic != _MAGIC:
        return len(data), len(data), 0
    if size > len(data) or base + length > len(data) or (length and base < size):
        raise ValueError(
            f"its header promises a program of {size} bytes and segments of {length}, it has "
            f"{len(data)}"
        )
    return size, base, length


def _part(data: memoryview, start: int, size: int) -> memoryview:
    if start + size > len(data):
        raise ValueError(f"a segment ends at byte {start + size} of {len(data)}")
    return data[start : start + size]


def _method(plan: Table, segments: list[memoryview], inline: list[bytes]) -> Method:
    chains = plan.tables(5)
    if len(chains) > 1:
        raise ValueError(f"the method {plan.text(0)} has {len(chains)} chains, expected one")
    made = Method(
        name=plan.text(0),
        values=tuple(map(_value, plan.tables(2))),
        inputs=tuple(plan.numbers(3, "i")),
        outputs=tuple(plan.numbers(4, "i")),
        operators=tuple(
            ".".join(filter(None, (each.text(0), each.text(1)))) for each in plan.tables(6)
        ),
        delegates=tuple(_delegate(each, segments, inline) for each in plan.tables(7)),
        instructions=tuple(_instruction(each) for c in chains for each in c.tables(2)),
    )
    _check_places(made)
    return made


def _value(entry: Table) -> Value:
    kind, inner = entry.whole(0, "B"), entry.table(1)
    if inner is None:
        return Value(kind)
    if kind == _STRING:
        return Value(kind, text=inner.text(0))
    if kind == _INTS:
        return Value(kind, members=tuple(inner.numbers(0, "q")))
    if kind in _TENSOR_LISTS:
        return Value(kind, members=tuple(inner.numbers(0, "i")))
    if kind != _TENSOR:
        return Value(kind)
    number = inner.whole(0, "b")
    planned = inner.table(6)
    return Value(
        kind,
        dtype=DTYPES.get(number, f"scalar type {number}"),
        shape=tuple(inner.numbers(2, "i")),
        fixed=inner.whole(8, "b") == 0,
        constant=inner.whole(5, "I"),
        memory=None
        if planned is None
        else (planned.whole(0, "I"), planned.whole(1, "I"), planned.whole(2, "I")),
    )


def _delegate(entry: Table, segments: list[memoryview], inline: list[bytes]) -> Delegate:
    reference = entry.table(1)
    if reference is None:
        raise ValueError(f"the delegate {entry.text(0)} has no content")
    index = reference.whole(1, "I")
    lies_in_segment = reference.whole(0, "b") == 1
    content = segments[index] if lies_in_segment else memoryview(inline[index])
    return Delegate(entry.text(0), content)


def _instruction(entry: Table) -> Instruction:
    kind, inner = entry.whole(0, "B"), entry.table(1)
    if inner is None or kind not in (KERNEL, DELEGATE, MOVE, JUMP, FREE):
        raise ValueError(f"an instruction of the unknown kind {kind}")
    if kind in (KERNEL, DELEGATE):
        return Instruction(kind, inner.whole(0, "i"), tuple(inner.numbers(1, "i")))
    if kind == MOVE:
        return Instruction(kind, 0, (inner.whole(0, "i"), inner.whole(1, "i")))
    return Instruction(kind, inner.whole(1, "i") if kind == JUMP else 0, (inner.whole(0, "i"),))


def _check_places(method: Method) -> None:
    """Raise ValueError where a place leads to no value, operator or delegate."""
    wanted = [*method.inputs, *method.outputs]
    wanted += [place for value in method.values for place in value.members if place != -1]
    wanted += [place for each in method.instructions for place in each.arguments]
    for place in wanted:
        if not 0 <= place < len(method.values):
            raise ValueError(f"{method.name} has {len(method.values)} values and reads {place}")
    for value in method.values:
        if value.kind == _INTS and any(method.values[n].kind != _INT for n in value.members):
            raise ValueError(f"{method.name} has a list of numbers with something else in it")
    called = {KERNEL: method.operators, DELEGATE: method.delegates}
    for each in method.instructions:
        there = len(called.get(each.kind, method.instructions))
        if not 0 <= each.index <= (there if each.kind == JUMP else there - 1):
            raise ValueError(f"{method.name} calls {each.index} of {there}")
