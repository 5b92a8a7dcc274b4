"""Faults in ONNX files with weights of 4 bits, and in files that decode in the graph: what a loose
tolerance could hide.
"""

from __future__ import annotations

import numpy as np
import onnx
from _faulty import Fault
from _faulty_onnx import Change, on_onnx, rename, set_weight, weight

STEP, GENERATE = "onnx/step-int4.onnx", "onnx/generate-int4.onnx"
_TOP = "recurrent.layers.1.joined"
_ANY = r"worst [\w\[\]]+ .* at call \d+"
_DRIFTS = ("rollout", "golden")


def _half_bytes_exchanged(model: onnx.ModelProto) -> None:
    packed = weight(model, f"{_TOP}.integers")
    set_weight(model, f"{_TOP}.integers", (packed >> 4) | (packed << 4))


def _scales_of_the_row_before(model: onnx.ModelProto) -> None:
    scales = weight(model, f"{_TOP}.scales")
    rows = len(weight(model, f"{_TOP}.integers"))
    set_weight(model, f"{_TOP}.scales", np.roll(scales.reshape(rows, -1), 1, axis=0).reshape(-1))


def _gates_in_torchs_order(model: onnx.ModelProto) -> None:
    for part in ("integers", "scales"):
        i, f, o, g = np.split(weight(model, f"{_TOP}.{part}"), 4)
        set_weight(model, f"{_TOP}.{part}", np.concatenate((i, f, g, o)))


def _table_off_by_one(model: onnx.ModelProto) -> None:
    for part in ("integers", "scales"):
        set_weight(
            model, f"embedding.{part}", np.roll(weight(model, f"embedding.{part}"), 1, axis=0)
        )


def _states_swapped(model: onnx.ModelProto) -> None:
    rename(model, "h_next", "held")
    rename(model, "c_next", "h_next")
    rename(model, "held", "c_next")


def _other_scales(model: onnx.ModelProto) -> None:
    (name,) = (
        tensor.name for tensor in model.graph.initializer if tensor.name.endswith("head.scales")
    )
    set_weight(model, name, weight(model, name)[::-1])


def _fault(name: str, imitates: str, change: Change) -> Fault:
    return Fault(name, imitates, on_onnx(change, STEP), _DRIFTS, _ANY, honest="int4", artifact=STEP)


FAULTS = (
    _fault(
        "4 bits: halves of a byte exchanged",
        "a packer of the other convention",
        _half_bytes_exchanged,
    ),
    _fault(
        "4 bits: scales of the row before", "an index that is off by one", _scales_of_the_row_before
    ),
    _fault(
        "4 bits: gates in torch's order",
        "weights that were not reordered with the graph",
        _gates_in_torchs_order,
    ),
    _fault("4 bits: table rows off by one", "a vocabulary with one token more", _table_off_by_one),
    _fault("4 bits: h and c come out swapped", "outputs in another order", _states_swapped),
    Fault(
        "in the graph: other weights than the step's",
        "one of two files exported again",
        on_onnx(_other_scales, GENERATE),
        ("decoding",),
        r"token \d+ is \[\d+\], the host writes \[\d+\] with onnx/step-int4.onnx",
        honest="int4",
        artifact=GENERATE,
    ),
)
