"""What an ``.onnx`` file may ask of the runtime that opens it, read before the runtime sees the
file.

A file of edgernn's is whole and uses what onnxruntime itself brings: ONNX's own operators, and two
of onnxruntime's for weights in 8 and 4 bits. A file that asks for another file, for operators of
somebody else's, or that brings operators of its own, is refused by name: in the graph, in every
sub-graph and in every attribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgernn.errors import ContractError
from edgernn.sessions.ort.graph import OnnxModel, OnnxNode, OnnxTensor, has_sparse
from edgernn.sessions.ort.reading import read_model

_STANDARD = frozenset(("", "ai.onnx"))
_RUNTIME = "com.microsoft"  # onnxruntime's own
# a product, and rows of a table, in blocks of integers
_OF_RUNTIME = frozenset(("MatMulNBits", "GatherBlockQuantized"))


def refuse_foreign(path: Path) -> OnnxModel:
    """Return the model at ``path``; raise ContractError where it needs more than itself and
    onnxruntime, naming it.
    """
    model = read_model(path)
    for what in foreign_needs(model):
        raise ContractError(f"{path} {what}; do not use this file")
    return model


def foreign_needs(model: OnnxModel) -> Iterator[str]:
    """Yield in words what ``model`` needs beyond itself and onnxruntime."""
    if model.functions:
        yield f"brings {model.functions} functions of its own, expected ONNX's operators alone"
    if model.training:
        yield "brings graphs for training, expected a graph to run"
    for graph in model.graph.all_graphs():
        if graph.sparse:
            yield f"has {graph.sparse} sparse constants, expected none"
        for tensor in graph.constants.values():
            yield from _elsewhere(tensor)
        for node in graph.nodes:
            yield from _of_others(node)
            for tensor in node.tensors():
                yield from _elsewhere(tensor)


def _elsewhere(tensor: OnnxTensor) -> Iterator[str]:
    if tensor.external:
        yield f"keeps the constant {tensor.name!r} in another file, expected all of it in this one"


def _of_others(node: OnnxNode) -> Iterator[str]:
    if node.domain not in _STANDARD and not (node.domain == _RUNTIME and node.op in _OF_RUNTIME):
        known = f"ONNX's own, or {', '.join(sorted(_OF_RUNTIME))} of {_RUNTIME}"
        yield f"uses the operator {node.op} of the domain {node.domain!r}, expected {known}"
    if has_sparse(node):
        yield f"has a sparse constant in {node.op}, expected none"
