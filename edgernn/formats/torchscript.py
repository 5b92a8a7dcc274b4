"""TorchScript: what libtorch runs, in float32."""

from __future__ import annotations

from edgernn.formats.promise import in_float32
from edgernn.formats.row import Format

_PROMISES = {
    "float32": in_float32(
        "the reference's own kernels, near 1e-6; other batch sizes choose other matrix kernels"
    ),
}

TORCHSCRIPT = Format(
    name="torchscript",
    family="torchscript",
    title="PyTorch",
    mark="",
    suffix=".pt",
    promises=_PROMISES,
    exporter="edgernn.export.to_torchscript:TorchScriptExporter",
    session="edgernn.sessions.torchscript.session:TorchScriptSession",
    export_extra="export",
    run_extra="train",
    packages=("torch",),
    kinds=("torchscript", "torchscript-ours"),
    structure="edgernn.parity.structure.torchscript:TorchScriptStructure",
)
ROWS = (TORCHSCRIPT,)
