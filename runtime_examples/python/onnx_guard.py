"""What an ``.onnx`` file may ask of the runtime, read as protocol-buffer fields before the runtime
sees the file.

Expected is a whole file of ONNX's own operators and two of onnxruntime's. Another file that holds
weights, operators of somebody else's and functions are refused by name, in every sub-graph and
attribute. The numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

from errors import BundleError

STANDARD = (b"", b"ai.onnx")
OF_RUNTIME = ((b"com.microsoft", b"MatMulNBits"), (b"com.microsoft", b"GatherBlockQuantized"))
MOST_DEPTH = 100  # of messages, as in the protocol-buffer library
REFUSED = {  # message → field → what the file does that it must not
    "model": {
        20: "brings graphs for training; expected a graph to run",
        25: "brings functions of its own; expected ONNX's operators alone",
    },
    "graph": {15: "has a sparse constant; expected none"},
    "attribute": {
        22: "has a sparse constant; expected none",
        23: "has a sparse constant; expected none",
    },
}
INNER = {  # message → field → the message in it
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}
Value = int | memoryview


def refuse_foreign(content: bytes, path: str) -> None:
    """Raise ``BundleError`` where the model needs more than itself and the runtime, or is none."""
    if content[4:8] == b"ORTM":  # the runtime would read it as a format of its own
        raise BundleError(f"{path} is no ONNX model; export the bundle again")
    try:
        _walk("model", memoryview(content), path, 0)
    except (IndexError, ValueError) as error:
        raise BundleError(f"{path} is no ONNX model ({error}); export the bundle again") from error


def _walk(kind: str, message: memoryview, path: str, depth: int) -> None:
    if depth > MOST_DEPTH:
        raise ValueError("a graph in a graph without end")
    found = list(_fields(message))
    texts = {
        number: bytes(value)
        for number, value in found
        if number in {4, 7, 8} and isinstance(value, memoryview)
    }
    if kind == "tensor" and any(
        number == 13 or (number == 14 and value) for number, value in found
    ):
        name = _shown(texts.get(8, b""))
        _refuse(path, f"keeps the constant {name} in another file; expected all of it in this one")
    operator = (texts.get(7, b""), texts.get(4, b""))
    if kind == "node" and operator[0] not in STANDARD and operator not in OF_RUNTIME:
        said = f"uses the operator {_shown(operator[1])} of the domain {_shown(operator[0])}"
        _refuse(
            path,
            f"{said}; expected ONNX's own, or MatMulNBits or GatherBlockQuantized of com.microsoft",
        )
    for number, value in found:
        if number in REFUSED.get(kind, {}):
            _refuse(path, REFUSED[kind][number])
        if number in INNER[kind] and isinstance(value, memoryview):
            _walk(INNER[kind][number], value, path, depth + 1)


def _refuse(path: str, what: str) -> None:
    raise BundleError(f"{path} {what}; do not use this bundle")


def _shown(text: bytes) -> str:
    return text[:100].decode("ascii", "backslashreplace")


def _fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield number and value of every field: an integer, or the bytes of a text, message or
    packed list.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire, end = key & 7, at
        if key >> 32:  # the runtime would read another one
            raise ValueError("a field has no number")
        value: Value = 0
        if wire == 0:
            value, end = _varint(message, at)
        elif wire in {1, 5}:
            end = at + (8 if wire == 1 else 4)
        elif wire == 2:
            length, at = _varint(message, at)
            end = at + length
            value = message[at:end]
        else:
            raise ValueError(f"a field has the wire type {wire}")
        if end > len(message):
            raise ValueError("a field is cut off")
        yield key >> 3, value
        at = end


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (message[at] & 127) << shift
        at += 1
        if message[at - 1] < 128:
            return value, at
    raise ValueError("a number has no end")
