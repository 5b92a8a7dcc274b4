"""LiteRT, once TensorFlow Lite: the state as in- and outputs."""

from __future__ import annotations

from edgernn.formats.promise import in_float32, in_integers
from edgernn.formats.row import Format

LITERT = Format(
    name="litert",
    family="litert",
    title="LiteRT",
    mark="",
    suffix=".tflite",
    promises={
        "float32": in_float32("float32 sums in another order, as for onnx"),
        "int8": in_integers(
            "int8",
            rollout=0.25,
            mean_kl=2e-3,
            perplexity=3e-3,
            reason=(
                "weights in 255 levels a row, times activations in 256 a call: 0.015 a step and "
                "0.04 % of perplexity in a trained model of characters, H = 256"
            ),
        ),
        "int4": in_integers(
            "int4",
            rollout=0.45,
            mean_kl=6e-2,
            perplexity=2e-2,
            reason=(
                "weights in 15 levels a block of 64, times activations in 256 a call: 0.15 a step "
                "and 0.2 % of perplexity in a trained model of characters, H = 256"
            ),
            tables=("int8",),
            step_only=True,
        ),
    },
    exporter="edgernn.export.to_litert.exporter:LiteRTExporter",
    session="edgernn.sessions.litert.session:LiteRTSession",
    export_extra="litert",
    run_extra="litert",
    packages=("ai-edge-litert",),
    lacking="edgernn.sessions.litert.session:lacking",
    hosts=("litert", "android"),
    by_default=False,
    kinds=("tflite",),
    others={"tflite-micro": "edgernn.sessions.litert.micro:TfliteMicroSession"},
    structure="edgernn.parity.structure.litert:LiteRTStructure",
    fixed_sizes=True,
    most_streams=64,
    environment="litert",
)
ROWS = (LITERT,)
