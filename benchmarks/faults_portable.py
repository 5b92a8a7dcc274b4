"""Faults in portable ONNX: what some runtime would leave out, though onnxruntime shows no
difference; and integers by ONNX's own operators.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from _faulty import Fault, edit_manifest
from _faulty_onnx import Change, add_weight, on_onnx, recurrent, rename, set_weight, weight
from onnx import helper

STEP, INTEGERS = "onnx/step.onnx", "onnx/step-int8.onnx"
_TOP = "recurrent.layers.1.joined"
_CLAIM = "the manifest says that it is portable, and "
_ANY = r"worst [\w\[\]]+ .* at call \d+"


def _with(**attributes: Any) -> Change:
    """Give the first recurrent operator more attributes."""

    def change(model: onnx.ModelProto) -> None:
        node = recurrent(model)[0]
        kept = [attribute for attribute in node.attribute if attribute.name not in attributes]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.attribute.extend(
            helper.make_attribute(name, value) for name, value in attributes.items()
        )

    return change


def _without_effect_peepholes(model: onnx.ModelProto) -> None:
    node = recurrent(model)[0]
    width = weight(model, node.input[2]).shape[2]
    node.input.append(add_weight(model, "peepholes", np.zeros((1, 3 * width), np.float32)))


def _unused_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def _claimed(path: str) -> Callable[[Path], None]:
    """Say in the manifest that a file is portable."""

    def change(manifest: dict[str, Any]) -> None:
        (artifact,) = (each for each in manifest["artifacts"] if each["path"] == path)
        artifact["portable"] = True

    return lambda folder: edit_manifest(folder, change)


def _rolled(name: str, axis: int = 0) -> Change:
    return lambda model: set_weight(model, name, np.roll(weight(model, name), 1, axis=axis))


def _gates_in_torchs_order(model: onnx.ModelProto) -> None:
    for part in ("integers", "scales"):
        i, f, o, g = np.split(weight(model, f"{_TOP}.{part}"), 4, axis=-1)
        set_weight(model, f"{_TOP}.{part}", np.concatenate((i, f, g, o), axis=-1))


def _another_zero(model: onnx.ModelProto) -> None:
    set_weight(model, "integers.zero", np.array(112, np.uint8))


def _scale_of_inputs_left_out(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Mul" and n.input[0].endswith(".scale"))
    node.input[0] = add_weight(model, "one", np.array(1 / 64, np.float32))


def _signed_for_unsigned(model: onnx.ModelProto) -> None:
    values = weight(model, f"{_TOP}.integers")
    set_weight(model, f"{_TOP}.integers", values ^ np.uint8(128))


def _states_swapped(model: onnx.ModelProto) -> None:
    rename(model, "h_next", "held")
    rename(model, "c_next", "h_next")
    rename(model, "held", "c_next")


def _promised(name: str, imitates: str, change: Change, says: str, honest: str) -> Fault:
    return Fault(
        f"portable: {name}", imitates, on_onnx(change, STEP), ("structure",), _CLAIM + says,
        honest=honest, artifact=STEP,
    )  # fmt: skip


def _false(name: str, path: str, honest: str, says: str) -> Fault:
    imitates = "a file is sold as what it is not"
    return Fault(
        f"portable: {name}", imitates, _claimed(path), ("structure",), _CLAIM + says,
        honest=honest, artifact=path,
    )  # fmt: skip


def _rounded(name: str, change: Change) -> Fault:
    return Fault(
        f"portable int8: {name}", "an exporter that rounds wrongly", on_onnx(change, INTEGERS),
        ("rollout", "golden"), _ANY, honest="portable", artifact=INTEGERS,
    )  # fmt: skip


_IGNORED = "a runtime leaves an attribute out"
FAULTS = (
    _promised("activations", _IGNORED, _with(activations=["Sigmoid", "Tanh", "Tanh"]),
              ".*the attribute activations", "portable"),
    _promised("a clip that clips nothing", _IGNORED, _with(clip=1e4), ".*clip", "portable"),
    _promised("input_forget", _IGNORED, _with(input_forget=0), ".*input_forget", "portable"),
    _promised("backwards", "a runtime runs it forwards", _with(direction="reverse"),
              ".*direction=reverse", "portable"),
    _promised("peepholes of zero", _IGNORED, _without_effect_peepholes, ".*peepholes", "portable"),
    _promised("another order of the reset", "a runtime resets after the product",
              _with(linear_before_reset=0), ".*resets before", "portable gru"),
    _promised("a vendor's domain", "a runtime refuses the file", _unused_domain,
              ".*domain 'com.microsoft'", "portable"),
    _false("onnxruntime's own products", "onnx/step-int4.onnx", "int4", ".*com.microsoft"),
    _false("TorchScript", "torchscript/step.pt", "lstm", "files of its format"),
    _rounded("scales of the row before", _rolled(f"{_TOP}.scales")),
    _rounded("integers of the row before", _rolled(f"{_TOP}.integers", axis=1)),
    _rounded("table off by one", _rolled("embedding.integers")),
    _rounded("gates in torch's order", _gates_in_torchs_order),
    _rounded("another zero", _another_zero),
    _rounded("scale of what comes in left out", _scale_of_inputs_left_out),
    _rounded("signed bytes read as unsigned", _signed_for_unsigned),
    _rounded("h and c come out swapped", _states_swapped),
)  # fmt: skip
