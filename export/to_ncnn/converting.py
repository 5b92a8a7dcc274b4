"""From an ONNX graph of fixed sizes to a graph of ncnn: operator by operator, by the tables of
``pointwise``, ``moves``, ``products`` and ``convolutions``.

pnnx, ncnn's own converter, is not used: it guesses which axis of a tensor is the batch, and where
it guesses wrong it leaves operators of torch in the file and says that it succeeded.
"""

from __future__ import annotations

from collections import Counter

import onnx

from edgernn.contract import FileContract, first_line
from edgernn.errors import ContractError
from edgernn.export.to_ncnn.builder import Builder, Value
from edgernn.export.to_ncnn.call import Call, Handler
from edgernn.export.to_ncnn.convolutions import CONVOLUTIONS
from edgernn.export.to_ncnn.folding import Shapes, fold
from edgernn.export.to_ncnn.moves import MOVES
from edgernn.export.to_ncnn.pointwise import EACH
from edgernn.export.to_ncnn.products import PRODUCTS
from edgernn.export.to_ncnn.recurrent import RECURRENT
from edgernn.sessions.ncnn.folder import sizes_of
from edgernn.sessions.ncnn.text import Layer
from edgernn.sessions.ort.graph import OnnxNode
from edgernn.sessions.ort.reading import parse_model

OPERATORS: dict[str, Handler] = {**EACH, **MOVES, **PRODUCTS, **CONVOLUTIONS, **RECURRENT}


def convert(
    model_proto: onnx.ModelProto, file_contract: FileContract, *, precision: str
) -> tuple[tuple[Layer, ...], bytes]:
    """Return the layers of a finished graph, which is changed, and the file of their weights.

    Raises:
        ContractError: an operator, or a use of one, that ncnn does not have; names it.
    """
    shapes = fold(model_proto)
    graph = parse_model(model_proto.SerializeToString(), source="the graph").graph
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(list(graph.outputs))
    build = Builder(precision, uses)
    interface = file_contract.interface()
    for tensor in interface.inputs:
        build.input(tensor.name, sizes_of(tensor))
    for name, constant in graph.constants.items():
        array = constant.values()
        build.values[name] = Value(array.shape, array=array)
    for node in graph.nodes:
        _add(build, node, shapes)
    made = {}
    for tensor in interface.outputs:
        value = build.values.get(tensor.name)
        if value is None or value.shape != sizes_of(tensor):
            raise ContractError(
                f"the graph makes {tensor.name} as {value and list(value.shape)}, expected "
                f"{list(sizes_of(tensor))}"
            )
        made[tensor.name] = value
    return build.finish(made)


def _add(build: Builder, node: OnnxNode, shapes: Shapes) -> None:
    """Add the layers of one operator."""
    values = [build.values.get(name) if name else None for name in node.inputs]
    call = Call(node, values, [shapes.get(name) for name in node.outputs], build)
    handler = OPERATORS.get(node.op) if node.domain in ("", "ai.onnx") else None
    if handler is None:
        whole = node.op == "RNN"  # ncnn's is tanh, whatever is asked for
        raise call.refusal("is a whole recurrent layer" if whole else "is none of its operators")
    if lost := [name for name in node.inputs if name and name not in build.values]:
        raise ContractError(f"the graph reads {lost[0]}, which nothing in it makes")
    try:
        made = handler(call)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise call.refusal(f"cannot be followed ({first_line(error)})") from error
    for name, value in zip(node.outputs, made if isinstance(made, list) else [made], strict=False):
        build.values[name] = value
