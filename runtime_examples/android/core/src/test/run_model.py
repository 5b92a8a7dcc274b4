"""Run one ONNX file for PipeRuntime.kt: named inputs in, named outputs out, as numbers over the
standard streams.
"""

from __future__ import annotations

import struct
import sys
from typing import BinaryIO

import numpy as np
import onnxruntime

_BIG_ENDIAN = {"float32": ">f4", "int64": ">i8"}  # the others come as they are, little-endian


def _read_text(stream: BinaryIO) -> str:
    (length,) = struct.unpack(">H", stream.read(2))
    return stream.read(length).decode()


def _read_tensor(stream: BinaryIO) -> np.ndarray:
    name = _read_text(stream)
    dtype = np.dtype(_BIG_ENDIAN.get(name, name))
    (axes,) = struct.unpack(">i", stream.read(4))
    shape = struct.unpack(f">{axes}q", stream.read(8 * axes))
    data = stream.read(int(np.prod(shape)) * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def main(path: str) -> None:
    """Answer calls until the standard input ends."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while count := source.read(4):
        feeds = {
            _read_text(source): _read_tensor(source) for _ in range(struct.unpack(">i", count)[0])
        }
        (wanted,) = struct.unpack(">i", source.read(4))
        names = [_read_text(source) for _ in range(wanted)]
        for array in session.run(names, feeds):
            name = str(array.dtype).encode()
            head = struct.pack(
                f">h{len(name)}si{array.ndim}q", len(name), name, array.ndim, *array.shape
            )
            sink.write(head + array.tobytes())
        sink.flush()


if __name__ == "__main__":
    main(sys.argv[1])
