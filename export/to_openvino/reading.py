"""An ONNX graph as OpenVINO's own, and what OpenVINO would read wrongly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from edgernn.contract.interface import FileTensor
from edgernn.errors import ContractError
from edgernn.sessions.openvino.package import without_telemetry
from edgernn.sessions.openvino.runtime import core, reason

with without_telemetry():
    from openvino import opset13 as ops
    from openvino.passes import ConstantFolding, Manager

_RECURRENT = frozenset(("LSTM", "GRU", "RNN"))
_LENGTHS, _PEEPHOLES = 4, 7  # places of inputs
_COUNTED = re.compile(r"[A-Z]\w*_\d+")  # a name that OpenVINO gives from a count of the process


def as_openvino(model_proto: onnx.ModelProto, *, folded: bool) -> Any:
    """Return ``model_proto`` as a model of OpenVINO, with names that are the same every time.

    Args:
        model_proto: the graph.
        folded: compute what constants alone decide, as the gates of a recurrent layer in
            OpenVINO's order.

    Raises:
        ContractError: it holds what OpenVINO reads as something else, or does not know.
    """
    refuse_misread(model_proto)
    try:
        model = core().read_model(model_proto.SerializeToString())
        if folded:
            manager = Manager()
            manager.register_pass(ConstantFolding())
            manager.run_passes(model)
    except RuntimeError as error:
        raise ContractError(f"OpenVINO cannot take the graph: {reason(error)}") from error
    return model


def declare(model: Any, outputs: Sequence[FileTensor]) -> None:
    """Give each output the sizes that are promised where OpenVINO cannot follow them, in place."""
    for result, tensor in zip(model.get_results(), outputs, strict=True):
        found, wanted = result.input_value(0), tensor.shape or ()
        sizes = found.get_partial_shape()
        if not any(isinstance(w, int) and s.is_dynamic for w, s in zip(wanted, sizes, strict=True)):
            continue
        shape = [size if isinstance(size, int) else 0 for size in wanted]  # 0: as it comes
        shaped = ops.reshape(found, np.array(shape, np.int64), True)
        shaped.output(0).get_tensor().set_names(found.get_tensor().get_names())
        found.get_tensor().set_names(set())
        result.input(0).replace_source_output(shaped.output(0))
    model.validate_nodes_and_infer_types()


def name_evenly(model: Any) -> None:
    """Give what OpenVINO has named by a count of the process a name by its place, in place."""
    for place, operation in enumerate(model.get_ordered_ops()):
        if _COUNTED.fullmatch(operation.get_friendly_name()):
            operation.set_friendly_name(f"{operation.get_type_name()}.{place}")


def refuse_misread(model_proto: onnx.ModelProto) -> None:
    """Raise ContractError for a recurrent operator with what OpenVINO drops without a word."""
    for node in model_proto.graph.node:
        if node.op_type not in _RECURRENT:
            continue
        said = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if dropped := _dropped(node, said):
            raise ContractError(
                f"OpenVINO ignores {dropped} of {node.op_type} ({node.name or node.output[0]}) "
                "without a word; export another format, or write the cell as products and gates"
            )


def _dropped(node: onnx.NodeProto, said: Mapping[str, Any]) -> str:
    given = dict(enumerate(node.input))
    if node.op_type == "LSTM" and given.get(_PEEPHOLES):
        return "the peepholes"
    if given.get(_LENGTHS):
        return "sequence_lens"
    return next((name for name in ("input_forget", "layout") if said.get(name)), "")
