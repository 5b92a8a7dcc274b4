"""Faults of networks that are no text, and of rows that are to be free: claims of a contract, what
encode gives to be read, what outputs lose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from _faulty import Fault, edit_manifest
from _faulty_module import TAPS
from _faulty_onnx import add_weight, node, on_onnx, through_output
from onnx import TensorProto

_ENCODE, _INT8 = "onnx/encode.onnx", "onnx/step-int8.onnx"


def _tied_to_its_place(model: onnx.ModelProto) -> None:
    """h_next + row / 100: exact for one row."""
    hundredth, column = np.float32(0.01), np.array([-1, 1])
    through_output(
        model,
        "h_next",
        node("Shape", ["h"], "h_shape"),
        node("Gather", ["h_shape", add_weight(model, "second", np.array(1))], "row_count"),
        node(
            "Range",
            [
                add_weight(model, "row_first", np.array(0)),
                "row_count",
                add_weight(model, "row_step", np.array(1)),
            ],
            "row_numbers",
        ),
        node("Cast", ["row_numbers"], "row_floats", to=TensorProto.FLOAT),
        node("Mul", ["row_floats", add_weight(model, "hundredth", hundredth)], "row_small"),
        node("Reshape", ["row_small", add_weight(model, "column", column)], "row_column"),
        node("Add", ["h_next_raw", "row_column"], "h_next"),  # [L, B, H]
    )


def _read_output_scaled(model: onnx.ModelProto) -> None:
    factor = add_weight(model, "factor", np.float32(1.01))
    through_output(model, "loudness", node("Mul", ["loudness_raw", factor], "loudness"))


def _later(folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest["contract"].update(latency_frames=3 * TAPS))


def _loss(**fields: Any) -> Any:
    def change(manifest: dict[str, Any]) -> None:
        for artifact in manifest["artifacts"]:
            if artifact["path"] == _INT8:
                artifact["output_loss"].update(fields)

    return lambda folder: edit_manifest(folder, change)


def _cell(cell: str) -> Any:
    return lambda folder: edit_manifest(
        folder, lambda manifest: manifest["provenance"]["model"].update(cell=cell)
    )


FAULTS = (
    Fault(
        "a row tied to its place",
        "a bias of its own for each row of the batch",
        on_onnx(_tied_to_its_place),
        ("invariance",),
        "BROKEN: .*free rows",
    ),
    Fault(
        "a row tied to its place, no reference",
        "the same, in a release",
        on_onnx(_tied_to_its_place),
        ("invariance",),
        "BROKEN: .*free rows",
        honest="release",
    ),
    Fault(
        "a latency that outputs cannot have",
        "a delay counted in samples, not in frames",
        _later,
        ("invariance",),
        f"outputs are {3 * TAPS} frames late, and .* do not depend",
        honest="module",
    ),
    Fault(
        "what encode gives to be read 1 % off",
        "an output that no step takes, and so no text shows",
        on_onnx(_read_output_scaled, _ENCODE),
        ("rollout",),
        "worst loudness",
        honest="module",
        artifact=_ENCODE,
    ),
    Fault(
        "a loss of outputs made up",
        "a figure of another export",
        _loss(error=1e-6),
        ("text",),
        "the manifest says that y is 1.0e-06 off",
        honest="module",
        artifact=_INT8,
    ),
    Fault(
        "steps of a loss of outputs made up",
        "a figure of another sample",
        _loss(steps=999),
        ("text",),
        "over 999 steps",
        honest="module",
        artifact=_INT8,
    ),
    Fault(
        "a model of another cell, no reference",
        "a card copied, in a release",
        _cell("gru"),
        ("contract",),
        "the cell is gru, the contract has the states h, c",
        honest="release",
    ),
)
