"""ExecuTorch: a step of one row as a ``.pte`` file, its products run by XNNPACK."""

from __future__ import annotations

from edgernn.formats.promise import in_float32, in_integers
from edgernn.formats.row import Format

_PROMISES = {
    "float32": in_float32(
        "float32 sums in another order, with sigmoid and tanh of XNNPACK: 2e-7 to 5e-7 over "
        "hundreds of steps"
    ),
    "int8": in_integers(
        "int8",
        rollout=0.15,
        mean_kl=2e-3,
        perplexity=3e-3,
        reason=(
            "weights in 255 levels a row times activations of 8 bits, rounded at each call: 0.01 "
            "a step in trained models"
        ),
        step_only=True,
    ),
}

EXECUTORCH = Format(
    name="executorch",
    family="executorch",
    title="ExecuTorch",
    mark="",
    suffix=".pte",
    promises=_PROMISES,
    exporter="edgernn.export.to_executorch.exporter:ExecuTorchExporter",
    session="edgernn.sessions.executorch:ExecuTorchSession",
    export_extra="executorch",
    run_extra="executorch",
    packages=("executorch", "torch"),
    hosts=("executorch", "android"),
    by_default=False,
    kinds=("executorch",),
    fixed_sizes=True,
    most_streams=64,
    lacking="edgernn.sessions.executorch:lacking",
    structure="edgernn.parity.structure.executorch:ExecuTorchStructure",
)
ROWS = (EXECUTORCH,)
