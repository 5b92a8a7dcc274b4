"""What Core ML cannot hold, told by the name of the tensor before coremltools fails on it."""

from __future__ import annotations

import torch

from edgernn.contract import FileContract
from edgernn.contract.interface import Interface
from edgernn.errors import ContractError, UsageError
from edgernn.formats.coreml import COREML, COREML_MLSTATE
from edgernn.models.family import RecurrentModel

_RESERVED = frozenset(("state",))


def refuse_whole_numbers(file_contract: FileContract) -> None:
    """Raise ContractError for the first state that float16 cannot keep."""
    for state in file_contract.spec.states:
        if state.kind != "f":
            raise ContractError(
                f"{COREML_MLSTATE.name} keeps states in float16, which counts no further than "
                f"2048, and {state.name} is {state.dtype}; export to {COREML.name}, where the "
                "state goes in and out"
            )


def refuse_stateless(file_contract: FileContract) -> None:
    """Raise ContractError for a step that has nothing for Core ML to keep."""
    if not file_contract.spec.states:
        raise ContractError(
            f"{COREML_MLSTATE.name} keeps the state, and the step has none; export to {COREML.name}"
        )


def refuse_not_finite(model: RecurrentModel) -> None:
    """Raise UsageError for the first weight with a NaN or an infinity, on which coremltools fails
    without naming it.
    """
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise UsageError(
                f"the weight {name} holds numbers that are not finite; train or import the "
                "model again"
            )


def refuse_reserved(file_contract: FileContract) -> None:
    """Raise UsageError for a tensor that Core ML would call otherwise."""
    for tensor in (*file_contract.spec.inputs, *file_contract.spec.outputs):
        if tensor.name in _RESERVED:
            raise UsageError(
                f"Core ML keeps the name {tensor.name!r} for itself; call it otherwise: the "
                "argument or attribute that it is in a network in Python, or of an ONNX file with "
                f"--rename {tensor.name}=h"
            )


def refuse_open(interface: Interface) -> None:
    """Raise UsageError for an input with an axis of any size."""
    for tensor in interface.inputs:
        if axes := [axis for axis in tensor.shape or () if isinstance(axis, str)]:
            raise UsageError(
                f"Core ML files take fixed sizes, and {tensor.name} has the open axis {axes[0]}; "
                f"say its size with --axis {axes[0]}=20, or leave Core ML out"
            )
