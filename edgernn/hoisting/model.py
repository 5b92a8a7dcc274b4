"""A hoisted network as a model: what the exporters write."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from edgernn.contract import BATCH, STEP, TIME
from edgernn.hoisting.cells import has_projection, step_face
from edgernn.hoisting.convolutions import convolve_by_products
from edgernn.hoisting.hoisted import Hoisted
from edgernn.hoisting.in_turn import frames_of, in_turn
from edgernn.hoisting.lowering import lower
from edgernn.models.family import OperatorSet
from edgernn.models.module import ModuleConfig, ModuleModel


@dataclass(frozen=True)
class HoistedConfig(ModuleConfig):
    """What is known of a hoisted step; ``found`` is what the manifest tells of it, by name."""

    found: Mapping[str, Any] = field(default_factory=dict)

    def model_dump(self) -> dict[str, Any]:
        """See ``ModuleConfig``."""
        return {**super().model_dump(), **self.found}


class HoistedModel(ModuleModel):
    """A step module that was taken out of a network; see ``ModuleModel``.

    Args:
        hoisted: the step.
        sample: what it is measured on, in words.
    """

    def __init__(self, hoisted: Hoisted, sample: str = "") -> None:
        super().__init__(
            hoisted.step,
            hoisted.contract,
            encode=hoisted.encode,
            first_state=hoisted.first_state,
        )
        self._open_time = hoisted.found.open_time
        network = hoisted.network.call.net
        self._parameters_of_network = sum(p.numel() for p in network.parameters())
        self.config = HoistedConfig(
            hoisted.contract,
            type(network).__name__,
            found={"states": _wheres(hoisted)}
            | ({"warmup_frames": hoisted.warmup_frames} if hoisted.warmup_frames else {})
            | ({"sample": sample} if sample else {}),
        )

    @property
    def parameter_count(self) -> int:
        """See ``RecurrentModel.parameter_count``: those of the network."""
        return self._parameters_of_network

    @property
    def open_time(self) -> bool:
        """See ``RecurrentModel.open_time``."""
        return self._open_time

    def fused_in(self, family: str) -> bool:
        """See ``RecurrentModel.fused_in``: ONNX has no LSTM with a projection."""
        return family not in ("onnx", "openvino") or not has_projection(self._step_graph())

    def graph(self, name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See ``RecurrentModel.graph``; of a step that takes one step a call, several are run one
        after the other.
        """
        contract = self.config.contract()
        if name != STEP or self.open_time or not contract.step.has_time:
            return super().graph(name, *tensors)
        if torch.jit._trace.is_tracing() or frames_of(contract, tensors) == contract.step_frames:
            return super().graph(STEP, *tensors)
        return in_turn(functools.partial(super().graph, STEP), contract, tensors)

    def step_face(self, *, folded: bool = False) -> HoistedModel:
        """See ``RecurrentModel.step_face``."""
        self.stepper = step_face(self._step_graph(), self._examples())
        self._open_time = False
        return self

    def in_products(self) -> HoistedModel:
        """See ``RecurrentModel.in_products``."""
        convolve_by_products(self._step_graph())
        return self

    def written_in(self, operators: OperatorSet) -> HoistedModel:
        """See ``RecurrentModel.written_in``."""
        self.stepper = lower(self._step_graph(), operators)
        if isinstance(self.encoder, fx.GraphModule):
            self.encoder = lower(self.encoder, operators)
        return self

    def _step_graph(self) -> fx.GraphModule:  # no property: torch's tracer would read it
        assert isinstance(self.stepper, fx.GraphModule)
        return self.stepper

    def _examples(self) -> list[Tensor]:
        """Return zeros for the step graph's inputs: two rows, one step."""
        contract = self.config.contract()
        sizes = {BATCH: 2, TIME: contract.step_frames, **dict.fromkeys(contract.open_axes, 5)}
        return [
            torch.zeros(contract.shape(spec, **sizes), dtype=getattr(torch, spec.dtype))
            for spec in contract.step.inputs
        ]


def _wheres(hoisted: Hoisted) -> dict[str, str]:
    """Return where each state was found, without the network's own code."""
    return {state.name: state.where.partition(" (")[0] for state in hoisted.found.states}
