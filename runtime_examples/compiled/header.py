"""The tensors that ``step.h`` of a bundle declares: their names in C, dtypes, sizes and roles."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from bundle import AGAIN, GRAPH, BundleError

BATCH = "batch"
ROLES = ("state", "input", "output")
# dtypes as the header names them → as safetensors does, as C does, as Rust does, bytes
DTYPES: dict[str, tuple[str, str, str, int]] = {
    "float32": ("F32", "float", "f32", 4),
    "int64": ("I64", "int64_t", "i64", 8),
    "int32": ("I32", "int32_t", "i32", 4),
    "uint8": ("U8", "uint8_t", "u8", 1),
    "int8": ("I8", "int8_t", "i8", 1),
    "bool": ("BOOL", "uint8_t", "u8", 1),
}
# a line of the header: the member of a structure, and which tensor of the contract it is
_MEMBER = re.compile(
    r"^ +(?:const )?(?P<type>\w+) \*?(?P<member>\w+)(?:\[\d+\])?; "
    r"/\* (?P<place>in|out) \d+(?P<held>, out \d+)?: "
    r"(?P<name>\w+) (?P<dtype>\w+) \[(?P<sizes>[^\]]*)\] \*/$",
    re.MULTILINE,
)
_FUNCTION = re.compile(rf"^int (\w+)_{GRAPH}\(", re.MULTILINE)


@dataclass(frozen=True)
class Member:
    """A tensor: its name, that in its structure, and its axes in order."""

    name: str
    member: str
    dtype: str
    axes: dict[str, int]
    role: str  # state, input or output

    @property
    def count(self) -> int:
        """How many elements it has."""
        return prod(self.axes.values())

    @property
    def streams(self) -> int:
        """Rows that a call goes over, each a sequence of its own; one is recorded and stored."""
        return self.axes.get(BATCH, 1)

    @property
    def recorded_count(self) -> int:
        """Elements of one row."""
        return self.count // self.streams

    @property
    def after_batch(self) -> int:
        """Elements from one row to the next."""
        axes = list(self.axes)
        if BATCH not in axes:
            return self.count
        return prod(self.axes[axis] for axis in axes[axes.index(BATCH) + 1 :])

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return DTYPES[self.dtype][3]


@dataclass(frozen=True)
class Header:
    """What the names of the file begin with, and its tensors."""

    prefix: str
    members: tuple[Member, ...]

    def of(self, role: str) -> list[Member]:
        """Return the tensors of a role, in order."""
        return [member for member in self.members if member.role == role]

    def recorded(self) -> dict[str, Member]:
        """Return what a recorded run has to hold, by the names there: the next states, too."""
        named = {member.name: member for member in self.members}
        return named | {f"{each.name}_next": each for each in self.of("state")}


def read_header(text: str) -> Header:
    """Return what a header declares."""
    prefixes = _FUNCTION.findall(text)
    members = tuple(_members(text))
    if len(prefixes) != 1 or not any(member.role == "output" for member in members):
        raise BundleError(f"{GRAPH}.h declares no function of one step with outputs; {AGAIN}")
    return Header(prefixes[0], members)


def literals(header: Header, first: dict[str, bytes]) -> dict[str, list[str]]:
    """Return values of states, which lie little-endian in ``first``, as C and Rust spell them."""
    formats = {"F32": "f", "I64": "q", "I32": "i", "U8": "B", "I8": "b", "BOOL": "B"}
    found = {}
    for each in header.of("state"):
        if each.name in first:
            if len(first[each.name]) != each.recorded_count * each.width:
                raise BundleError(f"the stored {each.name} is of another size; {AGAIN}")
            kind = formats[DTYPES[each.dtype][0]]
            values = struct.unpack(f"<{each.recorded_count}{kind}", first[each.name])
            rows = [
                values[begin : begin + each.after_batch]
                for begin in range(0, len(values), each.after_batch)
            ]
            found[each.name] = [repr(value) for row in rows for value in row * each.streams]
    return found


def _members(text: str) -> Iterable[Member]:
    for found in _MEMBER.finditer(text):
        axes = {axis: int(size) for axis, size in re.findall(r"(\w+)=(\d+)", found["sizes"])}
        role = "state" if found["held"] else {"in": "input", "out": "output"}[found["place"]]
        if found["dtype"] not in DTYPES or DTYPES[found["dtype"]][1] != found["type"]:
            raise BundleError(
                f"{found['name']} of {GRAPH}.h is {found['dtype']}, expected one of "
                f"{', '.join(DTYPES)}; {AGAIN}"
            )
        yield Member(found["name"], found["member"], found["dtype"], axes, role)
