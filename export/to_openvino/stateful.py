"""A model of OpenVINO whose state the runtime keeps, as variables under the contract's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgernn.contract import FileContract, next_name
from edgernn.errors import ContractError
from edgernn.formats.openvino import OPENVINO, OPENVINO_STATEFUL
from edgernn.sessions.openvino.package import openvino, without_telemetry

with without_telemetry():
    from openvino import opset13 as ops
    from openvino.op import assign, read_value
    from openvino.op.util import Variable, VariableInfo

_KEPT = ("bool", "int8", "uint8", "int32", "float16", "float32")  # on the CPU, in 2026.4


def refuse_stateless(file_contract: FileContract) -> None:
    """Raise ContractError for a step that has nothing to be kept."""
    if not file_contract.spec.states:
        raise ContractError(
            f"{OPENVINO_STATEFUL.name} keeps the state, and the step has none; export to "
            f"{OPENVINO.name}"
        )


def refuse_unkept(file_contract: FileContract) -> None:
    """Raise ContractError for a state of a dtype that OpenVINO's variables lose or refuse."""
    for tensor in file_contract.spec.states:
        if file_contract.dtype(tensor) not in _KEPT:
            raise ContractError(
                f"OpenVINO keeps no state of {file_contract.dtype(tensor)}, and {tensor.name} is "
                f"one; expected one of {', '.join(_KEPT)}, or export to {OPENVINO.name}"
            )


def keep_states(model: Any, first: Mapping[str, np.ndarray]) -> Any:
    """Return ``model``, of fixed states, with each state in ``first`` as a variable that a step
    reads and overwrites.

    Args:
        model: with every state as an input and, as the next one, an output; used up.
        first: by name, what a variable holds before the first step and after a reset.
    """
    given = {own.output(0).get_any_name(): own for own in model.get_parameters()}
    results = {own: own.input_value(0).get_names() for own in model.get_results()}
    sinks, written = [], []
    for name, values in first.items():
        info = VariableInfo()
        info.variable_id, info.data_type = name, given[name].get_element_type()
        info.data_shape = openvino.PartialShape(list(values.shape))
        variable = Variable(info)
        kept = read_value(ops.constant(values), variable)
        kept.set_friendly_name(name)
        result = next(own for own, names in results.items() if next_name(name) in names)
        given[name].output(0).replace(kept.output(0))
        sinks.append(assign(result.input_value(0).get_node(), variable))
        written.append(result)
    left = [own for own in model.get_results() if own not in written]
    inputs = [own for name, own in given.items() if name not in first]
    return openvino.Model(left, sinks, inputs, "step")
