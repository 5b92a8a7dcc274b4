"""Core ML: with the state as in- and outputs, or kept by the runtime as MLState.

Both rows promise the same in the same precision.
"""

from __future__ import annotations

from dataclasses import replace

from edgernn.formats.promise import in_float16, in_float32, in_integers
from edgernn.formats.row import Format
from edgernn.wording import STEP

# Of an image encoder, 4 bits a weight leave features that are half error: hence ``step_only``.
_PROMISES = {
    "float16": in_float16(
        "11 bits of mantissa in weights, products and state: a relative 5e-4 a value, which a "
        "random text amplifies now and then; what real text loses is the measure, the rollout "
        "only catches what is wired wrongly",
        mean_kl=1e-3,
    ),
    "float32": in_float32(
        "float32 sums in another order, with sigmoid and tanh of another library: as for onnx"
    ),
    "int8": in_integers(
        "int8",
        rollout=0.25,
        mean_kl=2e-3,
        perplexity=5e-3,
        reason=(
            "weights in 255 levels a row, products in float16: 0.015 a step in trained models, up "
            "to 0.15 where weights are four times as large and 0.2 in an untrained image encoder; "
            "2e-4 nats a token in a model of characters, H = 256; 0.33 % of perplexity, and no "
            "other answer, in a small network that answers questions"
        ),
    ),
    "int4": in_integers(
        "int4",
        rollout=0.8,
        mean_kl=6e-2,
        perplexity=4e-2,
        reason=(
            "weights in 16 levels a block of 32, from the smallest to the largest value: 0.15 a "
            "step in trained models, 0.3 in untrained ones; 0.02 nats a token and 1.5 % of "
            "perplexity in a model of characters, H = 256; 0.65 at a word before the last, where "
            "1.3 % of perplexity is lost, in a network that answers questions by a sum over regions"
        ),
        tables=("int8",),
        step_only=True,
    ),
    "palettized4": in_integers(
        "palettized4",
        rollout=0.45,
        mean_kl=8e-2,
        perplexity=5e-2,
        reason=(
            "weights from 16 values for about 1024: 0.2 a step in trained models, 0.35 in "
            "untrained ones; 0.03 nats a token and 1.9 % of perplexity in a model of characters, H "
            "= 256, for a tenth less bytes than int4"
        ),
        step_only=True,
    ),
}

COREML = Format(
    name="coreml",
    family="coreml",
    title="Core ML",
    mark="",
    suffix=".mlpackage",
    promises=_PROMISES,
    exporter="edgernn.export.to_coreml.exporter:CoreMLExporter",
    session="edgernn.sessions.coreml:CoreMLSession",
    export_extra="export",
    run_extra="export",
    packages=("coremltools", "torch"),
    platforms=("Darwin",),
    hosts=("ios",),
    kinds=("coreml-package",),
    interpreter="edgernn.sessions.mil.session:MilSession",
    structure="edgernn.parity.structure.mil:MilStructure",
    fixed_sizes=True,
)
COREML_MLSTATE = replace(
    COREML,
    name="coreml-mlstate",
    mark="_mlstate",
    promises={name: promise for name, promise in _PROMISES.items() if name != "float32"},
    exporter="edgernn.export.to_coreml.exporter:CoreMLStateExporter",
    session="edgernn.sessions.coreml:CoreMLStateSession",
    graphs=(STEP,),  # an encode graph has no state to keep
    keeps_state=True,
)
ROWS = (COREML, COREML_MLSTATE)
