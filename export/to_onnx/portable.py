"""A graph without what runtimes misread: what is left out of it, and the proof of the file."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import helper

from edgernn.errors import ContractError
from edgernn.parity.structure.portable import STANDARD, portable_problems
from edgernn.parity.structure.stored_onnx import RECURRENT
from edgernn.sessions.ort.reading import parse_model, read_model

_USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
_DEFAULTS = {"direction": "forward", "input_forget": 0, "layout": 0}


def leave_out_defaults(model_proto: onnx.ModelProto) -> None:
    """Take out of recurrent operators what is said of them at its default, and the domains that no
    operator is of, in place.
    """
    for node in model_proto.graph.node:
        if node.op_type in RECURRENT:
            kept = [attribute for attribute in node.attribute if not _is_usual(node, attribute)]
            del node.attribute[:]
            node.attribute.extend(kept)
    used = {node.domain for node in model_proto.graph.node}
    for opset in [o for o in model_proto.opset_import if o.domain not in STANDARD | used]:
        model_proto.opset_import.remove(opset)


def problems_of(model_proto: onnx.ModelProto) -> list[str]:
    """Return why a graph is not portable; see ``portable_problems``."""
    return portable_problems(parse_model(model_proto.SerializeToString(), source="the graph"))


def prove_portable(path: Path) -> None:
    """Raise ContractError where the file at ``path`` is not portable, naming the operator."""
    if problems := portable_problems(read_model(path)):
        raise ContractError(
            f"{path.name} cannot be portable: {problems[0]}; leave --portable out, or change the "
            "network"
        )


def _is_usual(node: onnx.NodeProto, attribute: onnx.AttributeProto) -> bool:
    value = helper.get_attribute_value(attribute)
    if attribute.name == "activations":
        names = [name.decode() for name in value]
        return names in (_USUAL[node.op_type], 2 * _USUAL[node.op_type])
    value = value.decode() if isinstance(value, bytes) else value
    return attribute.name in _DEFAULTS and _DEFAULTS[attribute.name] == value
