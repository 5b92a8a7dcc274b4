"""The truth about an ONNX file's weights: read out of the graph that was written, not out of what
was asked for.
"""

from __future__ import annotations

import onnx

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.parity.structure.stored_onnx import weight_table as table_of
from edgernn.sessions.ort.reading import parse_model


def weight_table(
    model_proto: onnx.ModelProto, *, activations: int | None = None
) -> tuple[StoredWeight, ...]:
    """Return every matrix, table and kernel of ``model_proto`` in the order of its graph, and what
    is left as one last entry; ``activations`` are the bits of what C multiplies matrices with.
    """
    graph = parse_model(model_proto.SerializeToString(), source="the model").graph
    return table_of(graph, activations=activations)
