"""ONNX: the row that every runtime in the field reads, with the most precisions."""

from __future__ import annotations

from edgernn.formats.promise import in_float16, in_float32, in_integers
from edgernn.formats.row import Format

_PROMISES = {
    "float32": in_float32(
        "the same float32 sums in another order: 1e-6 to 1e-5 over hundreds of steps up to H = "
        "512; a wrong gate, order or state is 1e-2 and more"
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
            "weights in 256 levels a block, activations rounded to 8 bits in every product: 0.01 a "
            "step in trained models, up to 0.13 where weights are four times as large"
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
    "smallest": in_integers(
        "int4",
        "int8",
        rollout=0.4,
        mean_kl=5e-2,
        perplexity=0.0,
        reason=(
            "weights in 16 or 256 levels a block, chosen layer by layer within the loss that the "
            "user allows"
        ),
        step_only=True,
    ),
}

ONNX = Format(
    name="onnx",
    family="onnx",
    title="ONNX Runtime",
    mark="",
    suffix=".onnx",
    promises=_PROMISES,
    exporter="edgernn.export.to_onnx.exporter:OnnxExporter",
    session="edgernn.sessions.ort.step:OrtSession",
    export_extra="export",
    run_extra=None,
    packages=("onnxruntime", "torch", "onnx"),
    hosts=("python", "cpp", "jvm", "c", "node", "web", "android"),
    decoders={
        "generate": "edgernn.sessions.ort.in_graph:OrtGenerator",
        "caption": "edgernn.sessions.ort.in_graph:OrtCaptioner",
    },
    kinds=("onnx", "onnx-ours"),
    others={
        "onnxruntime-web": "edgernn.sessions.node.session:OrtWebSession",
        "onnxruntime-node": "edgernn.sessions.node.session:OrtNodeSession",
    },
    structure="edgernn.parity.structure.onnx:OnnxStructure",
)
ROWS = (ONNX,)
