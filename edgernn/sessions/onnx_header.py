"""The head of an ``.onnx`` file, read without the onnx package: IR version and opset, which onnxruntime does not tell.

A ModelProto is a row of protocol-buffer fields; the graph with its weights is one of them and is skipped, not read.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from edgernn.errors import ContractError

_IR_VERSION, _OPSET_IMPORT = 1, 8  # field numbers of ModelProto
_DOMAIN, _VERSION = 1, 2  # of OperatorSetIdProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_LONGEST_VARINT = 10  # bytes


def read_target(path: Path) -> str:
    """Return ``opset N`` of the default operator set; raise ContractError where the file is no ModelProto."""
    with path.open("rb") as file:
        fields = _fields(file, keep={_OPSET_IMPORT})
        ir = next((value for number, value in fields if number == _IR_VERSION and isinstance(value, int)), 0)
        for number, content in fields:
            if number == _OPSET_IMPORT and isinstance(content, bytes):
                domain, version = _opset(content)
                if domain in {b"", b"ai.onnx"}:
                    return f"opset {version}, IR {ir}"
    raise ContractError(f"{path} names no opset; it is no ONNX model")


def _opset(content: bytes) -> tuple[bytes, int]:
    domain, version = b"", 0
    for number, value in _fields(BytesIO(content), keep={_DOMAIN}):
        if number == _DOMAIN and isinstance(value, bytes):
            domain = value
        elif number == _VERSION and isinstance(value, int):
            version = value
    return domain, version


def _fields(file: BinaryIO, *, keep: set[int]) -> list[tuple[int, int | bytes]]:
    """Return every field's number and value; length-delimited ones outside ``keep`` are skipped and come as b""."""
    found: list[tuple[int, int | bytes]] = []
    while (tag := _varint(file)) is not None:
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            found.append((number, _varint(file) or 0))
        elif kind == _BYTES:
            length = _varint(file) or 0
            found.append((number, file.read(length) if number in keep else b""))
            if number not in keep:
                file.seek(length, 1)
        elif kind in {_FIXED64, _FIXED32}:
            file.seek(8 if kind == _FIXED64 else 4, 1)
        else:
            raise ContractError(f"a field of wire type {kind}: it is no ONNX model")
    return found


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for place in range(_LONGEST_VARINT):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:
            return value
    raise ContractError("a number that never ends: it is no ONNX model")
