"""OpenVINO: with the state as in- and outputs, or kept by the runtime.

Both rows promise the same in the same precision, of a host that has the CPU compute in float32.
"""

from __future__ import annotations

from dataclasses import replace

from edgernn.formats.promise import in_float16, in_float32, in_integers
from edgernn.formats.row import Format
from edgernn.wording import STEP

_PROMISES = {
    "float32": in_float32(
        "float32 sums in another order, with sigmoid and tanh of another library, where the host "
        "asks for f32: 1e-6 over hundreds of steps; left to itself the runtime computes in "
        "bfloat16 where the processor has it, and drifts by 3e-2"
    ),
    "float16": in_float16(
        "weights with 11 bits of mantissa, a relative 5e-4 each, and sums in float32; a random "
        "text amplifies that now and then"
    ),
    "int8": in_integers(
        "int8",
        rollout=0.15,
        mean_kl=2e-3,
        perplexity=3e-3,
        reason=(
            "weights in 256 levels a block, activations rounded to 8 bits in every product where "
            "the processor multiplies integers: 0.01 a step, up to 0.13 where weights are four "
            "times as large"
        ),
        step_only=True,
    ),
    "int4": in_integers(
        "int4",
        rollout=0.4,
        mean_kl=5e-2,
        perplexity=2e-2,
        reason=(
            "weights in 16 levels a block: 0.14 a step in trained models, up to 0.25 in untrained "
            "ones, and 0.4 where their weights are four times as large"
        ),
        tables=("int8",),
        step_only=True,
    ),
}

OPENVINO = Format(
    name="openvino",
    family="openvino",
    title="OpenVINO",
    mark="",
    suffix="",
    promises=_PROMISES,
    exporter="edgernn.export.to_openvino.exporter:OpenVinoExporter",
    session="edgernn.sessions.openvino.step:OpenVinoSession",
    export_extra="export,openvino",
    run_extra="openvino",
    packages=("openvino", "torch", "onnx"),
    by_default=False,
    kinds=("openvino-folder",),
    structure="edgernn.parity.structure.openvino:OpenVinoStructure",
)
OPENVINO_STATEFUL = replace(
    OPENVINO,
    name="openvino-stateful",
    mark="_stateful",
    exporter="edgernn.export.to_openvino.exporter:OpenVinoStateExporter",
    session="edgernn.sessions.openvino.step:OpenVinoStateSession",
    graphs=(STEP,),  # an encode graph has no state to keep
    keeps_state=True,
)
ROWS = (OPENVINO, OPENVINO_STATEFUL)
