"""Reading an ``.onnx`` file without the onnx package; weights are not copied.

A file is mapped into memory and read as protocol-buffer fields by the numbers of onnx.proto. Some
milliseconds a file, however large its weights are.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgernn.contract import first_line
from edgernn.errors import ContractError
from edgernn.sessions.ort.graph import (
    DTYPES,
    UNKNOWN,
    Dims,
    OnnxGraph,
    OnnxModel,
    OnnxNode,
    OnnxTensor,
    Sparse,
)
from edgernn.sessions.ort.proto_fields import Data, Span, fields, floats, integers, text


def read_model(path: Path) -> OnnxModel:
    """Read the file at ``path``; raise ContractError where it is no ONNX model."""
    try:
        with path.open("rb") as file:
            # closed with the last view of it
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (ValueError, OSError) as error:
        raise ContractError(
            f"{path} is not a model that onnxruntime can open: {first_line(error)}"
        ) from error
    return parse_model(mapped, source=str(path))


def parse_model(content: bytes | mmap.mmap, *, source: str) -> OnnxModel:
    """Read a model out of its bytes; ``source`` names it in errors. Raises as ``read_model``."""
    try:
        return _model(memoryview(content), source)
    except (ValueError, IndexError, struct.error, RecursionError) as error:
        raise ContractError(
            f"{source} is not a model that onnxruntime can open: {first_line(error)}"
        ) from error


def _model(data: Data, source: str) -> OnnxModel:
    found = list(fields(data, slice(0, len(data))))
    graphs = [value for number, value in found if number == 7 and isinstance(value, slice)]
    if len(graphs) != 1:
        raise ContractError(
            f"{source} is not a model that onnxruntime can open: it has {len(graphs)} graphs, "
            "expected one"
        )
    domains = [
        _domain(data, value) for number, value in found if number == 8 and isinstance(value, slice)
    ]
    numbers = [number for number, _ in found]
    return OnnxModel(_graph(data, graphs[0]), tuple(domains), numbers.count(25), numbers.count(20))


def _domain(data: Data, span: Span) -> str:
    return next(
        (text(data, v) for n, v in fields(data, span) if n == 1 and isinstance(v, slice)), ""
    )


def _graph(data: Data, span: Span) -> OnnxGraph:
    nodes, constants, sparse = [], {}, 0
    inputs: dict[str, Dims] = {}
    outputs: dict[str, Dims] = {}
    for number, value in fields(data, span):
        if not isinstance(value, slice):
            continue
        if number == 1:
            nodes.append(_node(data, value))
        elif number == 5:
            tensor = _tensor(data, value)
            constants[tensor.name] = tensor
        elif number in {11, 12}:
            name, shape = _value_info(data, value)
            (inputs if number == 11 else outputs)[name] = shape
        elif number == 15:
            sparse += 1
    return OnnxGraph(tuple(nodes), constants, inputs, outputs, sparse)


def _node(data: Data, span: Span) -> OnnxNode:
    strings: dict[int, list[str]] = {1: [], 2: [], 3: [""], 4: [""], 7: [""]}
    attributes: dict[str, Any] = {}
    for number, value in fields(data, span):
        if number in strings and isinstance(value, slice):
            strings[number].append(text(data, value))
        elif number == 5 and isinstance(value, slice):
            name, content = _attribute(data, value)
            attributes[name] = content
    return OnnxNode(
        strings[4][-1],
        strings[7][-1],
        strings[3][-1],
        tuple(strings[1]),
        tuple(strings[2]),
        attributes,
    )


def _attribute(data: Data, span: Span) -> tuple[str, Any]:
    """Return name and value: a number, text, tensor or graph, or a list of them; what is empty is
    an empty list.
    """
    name = ""
    single: list[Any] = []
    many: list[Any] = []
    for number, value in fields(data, span):
        if number == 1 and isinstance(value, slice):
            name = text(data, value)
        elif number in {2, 3}:
            single += floats(data, value) if number == 2 else integers(data, value)
        elif number in {7, 8}:
            many += floats(data, value) if number == 7 else integers(data, value)
        elif isinstance(value, slice):
            if number in {4, 9}:
                (single if number == 4 else many).append(text(data, value))
            elif number in {5, 10}:
                (single if number == 5 else many).append(_tensor(data, value))
            elif number in {6, 11}:
                (single if number == 6 else many).append(_graph(data, value))
            elif number in {22, 23}:
                many.append(Sparse())
    if len(single) > 1:
        raise ValueError(f"the attribute {name} has two values")
    return name, single[0] if single else many


def _tensor(data: Data, span: Span) -> OnnxTensor:
    name, kind, shape, external, content = "", 0, [], False, []
    for number, value in fields(data, span):
        if number == 1:
            shape += integers(data, value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8 and isinstance(value, slice):
            name = text(data, value)
        elif number == 13 or (number == 14 and value):
            external = True
        else:
            content.append((number, value))
    return OnnxTensor(
        name, DTYPES.get(kind, UNKNOWN)[0], tuple(shape), external, tuple(content), data, kind
    )


def _value_info(data: Data, span: Span) -> tuple[str, Dims]:
    name = ""
    shape: Dims = ()
    for number, value in fields(data, span):
        if number == 1 and isinstance(value, slice):
            name = text(data, value)
        elif number == 2 and isinstance(value, slice):
            shape = _shape(data, value)
    return name, shape


def _shape(data: Data, span: Span) -> Dims:
    """Return the dimensions of a TypeProto's tensor type; none where it has no shape."""
    dims: list[int | str | None] = []
    for tensor in _inner(data, span, 1):
        for shape in _inner(data, tensor, 2):
            for dim in _inner(data, shape, 1):
                dims.append(_dim(data, dim))
    return tuple(dims)


def _dim(data: Data, span: Span) -> int | str | None:
    found: int | str | None = None
    for number, value in fields(data, span):
        if number == 1 and isinstance(value, int):
            found = value
        elif number == 2 and isinstance(value, slice):
            found = text(data, value)
    return found


def _inner(data: Data, span: Span, wanted: int) -> Iterator[Span]:
    return (
        value
        for number, value in fields(data, span)
        if number == wanted and isinstance(value, slice)
    )
