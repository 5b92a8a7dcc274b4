"""What is made wrong in a graph that C is generated from, and in the bytes of its weights."""

from __future__ import annotations

import numpy as np
import onnx
from _faulty_onnx import rename, set_weight, weight

_TOP = "recurrent.layers.1.joined"


def gates_in_torchs_order(model: onnx.ModelProto) -> None:
    for part in ("integers", "scales"):
        i, f, o, g = np.split(weight(model, f"{_TOP}.{part}"), 4)
        set_weight(model, f"{_TOP}.{part}", np.concatenate((i, f, g, o)))


def scales_of_the_row_before(model: onnx.ModelProto) -> None:
    rows = len(weight(model, f"{_TOP}.integers"))
    scales = weight(model, f"{_TOP}.scales").reshape(rows, -1)
    set_weight(model, f"{_TOP}.scales", np.roll(scales, 1, axis=0).reshape(-1))


def half_bytes_exchanged(model: onnx.ModelProto) -> None:
    packed = weight(model, f"{_TOP}.integers")
    set_weight(model, f"{_TOP}.integers", (packed >> 4) | (packed << 4))


def table_off_by_one(model: onnx.ModelProto) -> None:
    for part in ("integers", "scales"):
        set_weight(model, f"embedding.{part}", np.roll(weight(model, f"embedding.{part}"), 1, 0))


def one_scale_off(model: onnx.ModelProto) -> None:
    scales = weight(model, f"{_TOP}.scales")
    scales[5] *= np.float32(1.05)
    set_weight(model, f"{_TOP}.scales", scales)


def one_row_cut(model: onnx.ModelProto) -> None:
    whole = weight(model, f"{_TOP}.integers")
    whole[7, -1, -1] = 128  # stands for 0
    set_weight(model, f"{_TOP}.integers", whole)


def no_bias(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name.endswith("bias"):
            set_weight(model, tensor.name, np.zeros_like(weight(model, tensor.name)))


def states_swapped(model: onnx.ModelProto) -> None:
    rename(model, "h_next", "held")
    rename(model, "c_next", "h_next")
    rename(model, "held", "c_next")


def one_bit(content: bytearray) -> None:
    content[len(content) // 8 * 4 + 3] ^= 0x40  # of an exponent


def last_block_lost(content: bytearray) -> None:
    end = len(content.rstrip(b"\0"))
    content[end - 64 : end] = bytes(64)
