"""Which axis of each input is the batch, which is time: by the file's own names, or as told.

``--inputs "x: float32[batch, time, 40]"`` names the axes of an input where the file does not; a
number alone is the size of an axis that needs no name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import onnx
from onnx import TensorProto

from edgernn.contract import BATCH, TIME
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.flow import Flow, attribute
from edgernn.hoisting.onnx.names import axis_name
from edgernn.hoisting.parts import parts_of
from edgernn.wording import did_you_mean

_BATCH = frozenset(("batch", "batchsize", "bs", "b", "n", "batchdim", "bsz", "nbatch"))
_TIME = frozenset(
    (
        *("time", "t", "timesteps", "timestep", "steps", "nsteps", "times", "timeaxis"),
        *("seq", "sequence", "seqlen", "sequencelength", "seqlength", "length", "nseq", "s"),
        *("frames", "nframes", "numframes", "frame", "chunk", "tokens", "numtokens"),
    )
)
DTYPES: dict[int, str] = {
    TensorProto.BOOL: "bool",
    TensorProto.INT8: "int8",
    TensorProto.INT16: "int16",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8",
    TensorProto.FLOAT16: "float16",
    TensorProto.FLOAT: "float32",
    TensorProto.DOUBLE: "float64",
}
_FORM = 'expected NAME: DTYPE[AXES], as "x: float32[batch, time, 40]"'
_INPUT = re.compile(
    r"\s*(.+?)\s*:\s*(\w+)\s*\[([^\[\]]*)\]\s*(?:below\s+([a-z]\w*)\s*=\s*(\d+))?\s*"
)
_AXIS = re.compile(r"(?:([a-z][a-z0-9_]*)\s*(?:=\s*(\d+))?|(\d+))")


@dataclass(frozen=True)
class Axis:
    """One axis: its name in the contract, and its size; None where it is open. ``more`` are frames
    that stand in front beyond that; along time, ``each`` frames make a step. ``ours`` is a name
    that neither the file nor the user gave, and that another may take.
    """

    name: str
    size: int | None = None
    more: int = 0
    each: int = 1
    ours: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Declared:
    """One input of a file: its name there, dtype and axes; ``below`` bounds its ids."""

    name: str
    dtype: str
    axes: tuple[Axis, ...]
    below: Axis | None = None

    def place(self, axis: str) -> int | None:
        """Return the place of an axis, or None."""
        return next((at for at, own in enumerate(self.axes) if own.name == axis), None)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape where open axes have ``sizes``."""
        return tuple((axis.size or sizes[axis.name] * axis.each) + axis.more for axis in self.axes)


def declare(graph: onnx.GraphProto, told: Iterable[str]) -> dict[str, Declared]:
    """Return every input of ``graph`` with its axes: as told, else by the file's own names.

    Raises:
        UsageError: a text is not of that form, or does not fit the file; an open axis has a name
            that says nothing (which, and the option that decides); a dtype that no contract has.
    """
    values = {v.name: v for v in graph.input if v.name not in {t.name for t in graph.initializer}}
    texts = texts_of(told)
    for name in texts:
        if name not in values:
            raise UsageError(
                f"--inputs names {name!r}, which is no input of the file; it has "
                f"{', '.join(values) or 'none'}{did_you_mean(name, values)}"
            )
    flow, made, asked = Flow(graph), dict[str, Declared](), list[str]()
    told_batch = any(re.search(rf"\b{BATCH}\b(?!\s*=)", text[3]) for text in texts.values())
    batched = told_batch or any(
        _word(dim.dim_param) in _BATCH for v in values.values() for dim in _dims(v)
    )
    for name, value in values.items():
        own = _told(value, texts[name]) if name in texts else _named(value, batched=batched)
        if own is not None and told_batch and name not in texts:
            own = _with_batch(own)
        if own is None:
            asked.append(name)
        else:
            made[name] = _with_ids(own, flow)
    if asked:
        raise UsageError(_question(values, asked))
    return made


def texts_of(told: Iterable[str]) -> dict[str, re.Match[str]]:
    """Return input → its text as it was told, one in a text or several."""
    texts: dict[str, re.Match[str]] = {}
    for part in (part for text in told for part in parts_of(text) or [text]):
        found = _INPUT.fullmatch(part)
        if found is None:
            raise UsageError(f"--inputs is {part!r}, {_FORM}")
        texts[found[1]] = found
    return texts


def _dims(value: onnx.ValueInfoProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(value.type.tensor_type.shape.dim)


def _word(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _dtype(value: onnx.ValueInfoProto) -> str:
    kind = value.type.tensor_type.elem_type
    if kind not in DTYPES:
        name = TensorProto.DataType.Name(kind) if kind else "no tensor"
        raise UsageError(f"the input {value.name} is {name}, expected {', '.join(DTYPES.values())}")
    return DTYPES[kind]


def fixed(name: str, place: int, size: int, rank: int) -> Axis:
    """Return an axis of a fixed size that has no name of its own."""
    word = "width" if place == rank - 1 else str(place)
    return Axis(axis_name(f"{name}_{word}"), size, ours=True)


def _named(value: onnx.ValueInfoProto, *, batched: bool) -> Declared | None:
    """Return an input by the names in the file; None where one says nothing."""
    if not value.type.tensor_type.HasField("shape"):
        return None
    axes, dims = list[Axis | None](), _dims(value)
    for place, dim in enumerate(dims):
        word = _word(dim.dim_param)
        if dim.dim_value > 0:
            axes.append(fixed(value.name, place, dim.dim_value, len(dims)))
        elif word in _BATCH or word in _TIME:
            axes.append(Axis(BATCH if word in _BATCH else TIME))
        else:
            axes.append(None)
    open_names = [axis.name for axis in axes if axis is not None and axis.size is None]
    if axes.count(None) == 1 and batched and not open_names:  # a state beside a named input
        axes = [Axis(BATCH) if axis is None else axis for axis in axes]
    known = [axis for axis in axes if axis is not None]
    if len(known) < len(dims) or len(set(open_names)) < len(open_names):
        return None
    return Declared(value.name, _dtype(value), tuple(known))


def _with_batch(own: Declared) -> Declared:
    """Call the one axis of size 1 the batch, where another input is told to have one: a file that
    was exported for one row has 1 there.
    """
    ones = [place for place, axis in enumerate(own.axes) if axis.size == 1]
    if len(own.axes) == 3 and 1 in ones:
        ones = [1]  # [L, B, H]
    if len(ones) != 1 or any(axis.size is None for axis in own.axes):
        return own
    axes = (*own.axes[: ones[0]], Axis(BATCH), *own.axes[ones[0] + 1 :])
    return replace(own, axes=axes)


def _told(value: onnx.ValueInfoProto, text: re.Match[str]) -> Declared:
    """Return an input as ``--inputs`` says, held against the file."""
    name, dtype, inner = text[1], text[2], text[3]
    if dtype != _dtype(value):
        raise UsageError(f"--inputs says that {name} is {dtype}; the file has {_dtype(value)}")
    parts = [part.strip() for part in inner.split(",") if part.strip()]
    dims = _dims(value)
    if value.type.tensor_type.HasField("shape") and len(parts) != len(dims):
        raise UsageError(
            f"--inputs gives {name} {len(parts)} axes; the file has {_shown(value)}, {_FORM}"
        )
    axes = []
    for place, part in enumerate(parts):
        found = _AXIS.fullmatch(part)
        if found is None:
            raise UsageError(f"--inputs has the axis {part!r} of {name}; {_FORM}")
        axes.append(_axis(name, place, found, len(parts)))
        if axes[-1].size is None and axes[-1].name not in {BATCH, TIME}:
            size_in_file = dims[place].dim_value if dims else 0
            if size_in_file <= 0:
                raise UsageError(
                    f"--inputs leaves the axis {part} of {name} open; only batch and time may be: "
                    f"give its size, as {part}=40"
                )
            axes[-1] = replace(axes[-1], size=size_in_file)
    below = Axis(text[4], int(text[5])) if text[4] else None
    return Declared(name, dtype, tuple(axes), below)


def _axis(name: str, place: int, found: re.Match[str], rank: int) -> Axis:
    """Return an axis as it is told: ``time=4`` are four frames a step, ``batch=4`` is no batch."""
    size = int(found[2] or found[3] or 0)
    if found[1] == TIME:
        return Axis(TIME, each=size or 1)
    if found[1] is None or (found[1] == BATCH and size):
        return fixed(name, place, size, rank)
    return Axis(found[1], size or None)


def _with_ids(declared: Declared, flow: Flow) -> Declared:
    """Bound the ids of an integer input that takes rows of one constant table."""
    if declared.below is not None or not declared.dtype.startswith(("int", "uint")):
        return declared
    rows = {
        flow.constants[node.input[0]].dims[0]
        for name in flow.moved_to(declared.name)
        for node in flow.readers.get(name, [])
        if node.op_type == "Gather"
        and node.input[1] == name
        and node.input[0] in flow.constants
        and attribute(node, "axis", 0) == 0
    }
    if not rows:
        return declared
    below = Axis(axis_name(f"{declared.name}_ids"), min(rows), ours=True)
    return replace(declared, below=below)


def _shown(value: onnx.ValueInfoProto) -> str:
    dims = [
        dim.dim_param or (str(dim.dim_value) if dim.dim_value > 0 else "?") for dim in _dims(value)
    ]
    return f"{_dtype(value)}[{', '.join(dims)}]"


def _question(values: Mapping[str, onnx.ValueInfoProto], asked: list[str]) -> str:
    first = values[asked[0]]
    dims, texts = _dims(first), ["batch", "time", "40"]
    guess = [
        str(dim.dim_value) if dim.dim_value > 0 else texts[min(place, 1)]
        for place, dim in enumerate(dims)
    ]
    more = f" (and {', '.join(asked[1:])})" if asked[1:] else ""
    return (
        f"the input {first.name} is {_shown(first)}{more}, and no name says which axis is the "
        f'batch and which is time; say so, as --inputs "{first.name}: {_dtype(first)}'
        f'[{", ".join(guess)}]"'
    )
