"""The lowest onnxruntime that runs a file, by its operators.

Measured by opening what edgernn exports in onnxruntime 1.18.0, 1.18.1, 1.19.2, 1.20.1, 1.21.1,
1.22.1 and 1.23.0: files in float32 and float16 run in all of them, files with operators of
onnxruntime's own from 1.23 on.
"""

from __future__ import annotations

from edgernn.sessions.ort.graph import OnnxModel
from edgernn.sessions.runtime_versions import ONNXRUNTIME, release

_OPERATOR_FLOORS = {
    ("com.microsoft", "MatMulNBits"): "1.23",
    ("com.microsoft", "GatherBlockQuantized"): "1.23",
}


def required_by(model: OnnxModel) -> dict[str, str]:
    """Return package → the lowest version for the operators of ``model``; nothing where edgernn's
    own floor serves.
    """
    used = {(node.domain, node.op) for graph in model.graph.all_graphs() for node in graph.nodes}
    floors = [floor for operator, floor in _OPERATOR_FLOORS.items() if operator in used]
    return {ONNXRUNTIME: max(floors, key=release)} if floors else {}
