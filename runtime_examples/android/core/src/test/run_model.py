"""Run ONNX files for PipeRuntime.kt: named inputs in, named outputs out, as numbers over the
standard streams.

A request is a letter and what it takes: ``o`` a path, answered by the number of the opened file;
``r`` that number, inputs, and names of outputs, answered by those; ``c`` that number, to close it.
An answer begins with 0, or with 1 where only a text follows, of what onnxruntime says is wrong.
"""

from __future__ import annotations

import struct
import sys
from typing import BinaryIO

import numpy as np
import onnxruntime

_BIG_ENDIAN = {"float32": ">f4", "int64": ">i8"}  # the others come as they are, little-endian
_MOST_TEXT = 1000


def _read_int(stream: BinaryIO) -> int:
    (number,) = struct.unpack(">i", stream.read(4))
    return int(number)


def _read_text(stream: BinaryIO) -> str:
    (length,) = struct.unpack(">H", stream.read(2))
    return stream.read(length).decode()


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()


def _read_tensor(stream: BinaryIO) -> np.ndarray:
    name = _read_text(stream)
    dtype = np.dtype(_BIG_ENDIAN.get(name, name))
    shape = struct.unpack(f">{(axes := _read_int(stream))}q", stream.read(8 * axes))
    data = stream.read(int(np.prod(shape)) * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _tensor(array: np.ndarray) -> bytes:
    head = struct.pack(f">i{array.ndim}q", array.ndim, *array.shape)
    return _text(str(array.dtype)) + head + array.tobytes()


class RefusedError(Exception):
    """What onnxruntime says is wrong with a file or its inputs."""


class Files:
    """The opened files, by number."""

    def __init__(self) -> None:
        self.opened: dict[int, onnxruntime.InferenceSession] = {}
        self.count = 0

    def answer(self, kind: bytes, source: BinaryIO) -> bytes:
        """Do what is asked for and return what it gives."""
        if kind == b"o":
            return self._open(_read_text(source))
        session = self.opened[number := _read_int(source)]
        if kind == b"c":
            self.opened.pop(number)
            return b""
        feeds = {_read_text(source): _read_tensor(source) for _ in range(_read_int(source))}
        names = [_read_text(source) for _ in range(_read_int(source))]
        try:
            return b"".join(_tensor(array) for array in session.run(names, feeds))
        except Exception as error:  # onnxruntime's errors share no narrower base class
            raise RefusedError(error) from error

    def _open(self, path: str) -> bytes:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4  # what goes wrong is answered
        self.count += 1
        try:
            session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        except Exception as error:  # as above
            raise RefusedError(error) from error
        self.opened[self.count] = session
        return struct.pack(">i", self.count)


def main() -> None:
    """Answer requests until the standard input ends."""
    files, source, sink = Files(), sys.stdin.buffer, sys.stdout.buffer
    while kind := source.read(1):
        try:
            answer = b"\0" + files.answer(kind, source)
        except RefusedError as error:
            answer = b"\1" + _text(" ".join(str(error).split())[:_MOST_TEXT])
        sink.write(answer)
        sink.flush()


if __name__ == "__main__":
    main()
