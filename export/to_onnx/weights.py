"""The truth about an ONNX file's weights: read out of the graph that was written, not out of what
was asked for.
"""

from __future__ import annotations

import onnx

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.parity.structure.stored_onnx import weight_table as table_of
from edgernn.sessions.ort.reading import parse_model


def weight_table(model_proto: onnx.ModelProto) -> tuple[StoredWeight, ...]:
    """Return every matrix, table and kernel of ``model_proto`` in the order of its graph, and what
    is left as one last entry.
    """
    return table_of(parse_model(model_proto.SerializeToString(), source="the model").graph)
