"""A network of somebody else's as a model: a step module, and an encode module where it has one,
with a contract that says what goes in and out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgernn.contract import ENCODE, STEP, Contract, Decoding, TensorSpec, first_line
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import ContractError
from edgernn.models.cells.base import State
from edgernn.models.family import RecurrentModel


@dataclass(frozen=True)
class ModuleConfig:
    """What is known of the module: its contract, and the name of its class."""

    own_contract: Contract
    module: str
    writes: Decoding | None = None

    @property
    def vocabulary(self) -> int:
        """The number of token ids; 0 where the module takes none."""
        ids = self.own_contract.step.ids
        return 0 if ids is None or ids.below is None else self.own_contract.sizes[ids.below]

    def contract(self) -> Contract:
        """Return the step contract."""
        return self.own_contract

    def decoding(self, tokenizer: Tokenizer | None) -> Decoding | None:
        """Return how a host writes with it, or None where it writes nothing."""
        return self.writes

    def model_dump(self) -> dict[str, Any]:
        """Return what the manifest tells of the model."""
        return {"module": self.module}


class ModuleModel(RecurrentModel):
    """A step module, and an encode module, with their contract.

    Args:
        step: ``forward(*inputs) -> outputs``, tensors in the contract's order.
        contract: what goes in and out.
        encode: likewise, where the contract has an encode graph.
        first_state: state → its stored first value, with the contract's axes and one row.
        decoding: how a host writes text with it, where it is a language model.
    """

    family = "module"
    rebuilt_from_config = False

    def __init__(
        self,
        step: nn.Module,
        contract: Contract,
        *,
        encode: nn.Module | None = None,
        first_state: Mapping[str, Tensor] | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        super().__init__()
        self.config: ModuleConfig = ModuleConfig(contract, type(step).__name__, decoding)
        self.stepper, self.encoder = step, encode
        for spec in contract.starting("stored"):
            value = _first_value(spec, contract.shape(spec, batch=1), first_state)
            self.register_buffer(f"first_{spec.name}", value)

    def module_of(self, name: str) -> nn.Module:
        """Return the module that computes the graph ``name``."""
        module = {STEP: self.stepper, ENCODE: self.encoder}[name]
        assert module is not None
        return module

    def graph(self, name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See ``RecurrentModel.graph``."""
        made = self.module_of(name)(*tensors)
        return (made,) if isinstance(made, Tensor) else tuple(made)

    def initial_state(self, batch: int) -> State:
        """See ``RecurrentModel.initial_state``."""
        contract, state = self.config.contract(), []
        for spec in contract.step.states:
            shape = contract.shape(spec, batch=batch)
            stored = getattr(self, f"first_{spec.name}", None)
            state.append(
                torch.zeros(shape, dtype=getattr(torch, spec.dtype))
                if stored is None
                else stored.expand(shape)
            )
        return tuple(state)

    def step_face(self, *, folded: bool = False) -> ModuleModel:
        """Return the model as it is: its step is the one that was given."""
        return self


def _first_value(
    spec: TensorSpec, shape: tuple[int, ...], given: Mapping[str, Tensor] | None
) -> Tensor:
    if given is None or spec.name not in given:
        raise ContractError(
            f"the contract says that the first value of {spec.name} is stored; give it in "
            "first_state"
        )
    value = given[spec.name]
    found = (str(value.dtype).removeprefix("torch."), tuple(value.shape))
    if found != (spec.dtype, shape):
        raise ContractError(
            f"the first value of {spec.name} is {found[0]} {list(found[1])}, expected "
            f"{spec.dtype} {list(shape)}: one row, which stands for every row"
        )
    return value.detach().clone()


def check_step(model: ModuleModel, examples: Mapping[str, tuple[Tensor, ...]]) -> None:
    """Run each graph once on ``examples`` (graph → its inputs in order) and compare what comes out
    with the contract.

    Raises:
        ContractError: another number of tensors, another dtype or another shape; names the tensor.
    """
    contract = model.config.contract()
    for name, given in examples.items():
        spec = contract.graph(name)
        try:
            with torch.no_grad():
                made = model.graph(name, *given)
        except (TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
            raise ContractError(
                f"{name} does not run on {[tensor.name for tensor in spec.inputs]}, which the "
                f"contract gives it in this order: {first_line(error)}"
            ) from error
        if len(made) != len(spec.outputs):
            raise ContractError(
                f"{name} returns {len(made)} tensors, the contract has "
                f"{[tensor.name for tensor in spec.outputs]}"
            )
        sizes = dict(contract.sizes)
        for tensor, array in zip(spec.inputs, given, strict=True):
            sizes |= dict(zip(tensor.axes, array.shape, strict=True))
        for tensor, array in zip(spec.outputs, made, strict=True):
            found = (str(array.dtype).removeprefix("torch."), tuple(array.shape))
            known = tuple(
                sizes.get(axis, size) for axis, size in zip(tensor.axes, array.shape, strict=False)
            )
            if found != (tensor.dtype, known) or len(array.shape) != len(tensor.axes):
                raise ContractError(
                    f"{tensor.name} of {name} comes out as {found[0]} {list(found[1])}, the "
                    f"contract has {tensor.dtype} [{', '.join(tensor.axes)}]"
                )
