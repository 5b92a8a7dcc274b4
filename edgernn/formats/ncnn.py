"""ncnn: the step face in its own layers, a folder of ``.param`` and ``.bin``."""

from __future__ import annotations

from edgernn.formats.promise import in_float16, in_float32, in_integers
from edgernn.formats.row import Format

_PROMISES = {
    "float32": in_float32(
        "float32 sums in another order, with sigmoid and tanh of another library: as for onnx"
    ),
    "float16": in_float16(
        "11 bits of mantissa in matrices and tables, which a build with half floats also "
        "calculates in; elsewhere they are widened to float32 once, when the file is opened",
        rollout=0.05,
        mean_kl=1e-3,
    ),
    "int8": in_integers(
        "int8",
        rollout=0.15,
        mean_kl=2e-3,
        perplexity=3e-3,
        reason=(
            "weights in 255 levels a row, times activations of 8 bits with one scale a vector, "
            "which ncnn takes anew at each step: 0.02 a step in trained models"
        ),
        step_only=True,
    ),
}
NCNN = Format(
    name="ncnn",
    family="ncnn",
    title="ncnn",
    mark="",
    suffix="",
    promises=_PROMISES,
    exporter="edgernn.export.to_ncnn.exporter:NcnnExporter",
    session="edgernn.sessions.ncnn.session:NcnnSession",
    export_extra="ncnn",
    run_extra="ncnn",
    packages=("ncnn",),
    by_default=False,
    kinds=("ncnn-folder",),
    fixed_sizes=True,
    structure="edgernn.parity.structure.ncnn:NcnnStructure",
)
ROWS = (NCNN,)
