"""What graphs that decode need alike, whether they write texts or captions: what may be written,
and how a model is begun and finished.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from edgernn.contract import Decoding, FileContract, first_line
from edgernn.contract.interface import Interface
from edgernn.errors import ContractError, UsageError
from edgernn.export.to_onnx.nodes import Scope, joined_opsets


def barred(decoding: Decoding, vocabulary: int) -> np.ndarray | None:
    """Return what is added to logits, float32 ``[V]``, minus infinity for what is never written;
    None where all may be.

    Raises:
        UsageError: every id is suppressed, or one is outside the vocabulary.
    """
    for kind, ids in (("stop", decoding.stop), ("suppressed", decoding.suppress)):
        outside = [token for token in ids if token >= vocabulary]
        if outside:
            raise UsageError(
                f"a {kind} token has the id {outside[0]}, expected 0 to {vocabulary - 1}"
            )
    if not decoding.suppress:
        return None
    if len(set(decoding.suppress)) == vocabulary:
        raise UsageError(
            f"all {vocabulary} ids are suppressed, so nothing can be written; leave at least one"
        )
    added = np.zeros(vocabulary, np.float32)
    added[list(decoding.suppress)] = -np.inf
    return added


def check_tensors(graph: onnx.GraphProto, inputs: list[str], outputs: list[str]) -> None:
    """Raise ContractError where a graph does not have the tensors that its contract names."""
    for kind, values, expected in (
        ("takes", graph.input, inputs),
        ("gives", graph.output, outputs),
    ):
        found = [value.name for value in values]
        if sorted(found) != sorted(expected):
            raise ContractError(
                f"the graph {kind} {found}, expected {expected}; give the graph that its "
                "contract describes"
            )


def finished_model(
    outer: Scope,
    name: str,
    interface: Interface,
    file_contract: FileContract,
    decoding: Decoding,
    sources: tuple[onnx.ModelProto, ...],
) -> onnx.ModelProto:
    """Return the model of a written graph, checked, with its contract in its metadata."""
    graph = outer.model(name, inputs=interface.inputs, outputs=interface.outputs)
    opsets = joined_opsets(*sources)
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=max(source.ir_version for source in sources)
    )
    helper.set_model_props(
        model, file_contract.model_copy(update={"decoding": decoding}).to_metadata()
    )
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ContractError(f"the {name} graph came out invalid: {first_line(error)}") from error
    return model
