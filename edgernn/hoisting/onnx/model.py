"""A foreign step as a model of edgernn: what exporters take, and the file that judges them."""

from __future__ import annotations

import json
from typing import Any

import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edgernn.contract import Contract, Decoding
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.hoisting.onnx.one_frame import one_frame
from edgernn.hoisting.onnx.step import ForeignStep
from edgernn.hoisting.onnx.torch_step.module import TorchStep
from edgernn.models.cells.base import State
from edgernn.models.family import OwnFile, RecurrentModel

_SOURCE = "edgernn.source"  # the key of a file's metadata that says what it was made of


class ForeignConfig:
    """What is known of the file: its contract, and what became of its names."""

    def __init__(self, step: ForeignStep, provenance: dict[str, Any]) -> None:
        self.own_contract, self._provenance = step.contract, provenance

    @property
    def vocabulary(self) -> int:
        """The number of token ids; 0 where the file takes none."""
        ids = self.own_contract.step.ids
        return 0 if ids is None or ids.below is None else self.own_contract.sizes[ids.below]

    def contract(self) -> Contract:
        """Return the step contract."""
        return self.own_contract

    def decoding(self, tokenizer: Tokenizer | None) -> Decoding | None:
        """Return None: a foreign file says nothing of how a host writes with it."""
        return None

    def model_dump(self) -> dict[str, Any]:
        """Return what the manifest tells of the model."""
        return self._provenance


class ForeignModel(RecurrentModel):
    """The step of a foreign file: the file itself where it is written as ONNX in float, else its
    operators in torch's own, one frame a call.

    Args:
        step: what was made of the file.
        provenance: what the manifest tells of it.
    """

    family = "module"
    rebuilt_from_config = False

    def __init__(self, step: ForeignStep, provenance: dict[str, Any]) -> None:
        super().__init__()
        self.config: ForeignConfig = ForeignConfig(step, provenance)
        frame = one_frame(step)
        # frames of a call meet in what looks at past ones; proved are single steps
        meets = bool(step.context) and step.contract.step.has_time
        self.own_file = OwnFile(
            (frame if meets else step.model_proto).SerializeToString(),
            step.reference.SerializeToString(),
            one_step=meets,
            metadata=((_SOURCE, json.dumps(provenance)),),
        )
        self._first = dict(step.first_state)
        self._why_not: UsageError | None = None
        try:
            self.stepper: nn.Module = TorchStep(frame)
        except UsageError as error:
            self._why_not, self.stepper = error, _weights(step)

    def graph(self, name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        """See ``RecurrentModel.graph``; raise UsageError where an operator has no translation."""
        if self._why_not is not None:
            raise self._why_not
        made: tuple[Tensor, ...] = self.stepper(*tensors)
        return made

    @property
    def open_time(self) -> bool:
        """See ``RecurrentModel.open_time``: the translation takes one frame a call."""
        return False

    def initial_state(self, batch: int) -> State:
        """See ``RecurrentModel.initial_state``."""
        contract, made = self.config.contract(), []
        for spec in contract.step.states:
            value = torch.zeros(contract.shape(spec, batch=batch), dtype=getattr(torch, spec.dtype))
            first = self._first.get(spec.name)
            made.append(value if first is None else torch.from_numpy(first).expand(value.shape))
        return tuple(made)

    def step_face(self, *, folded: bool = False) -> RecurrentModel:
        """See ``RecurrentModel.step_face``."""
        return self


def _weights(step: ForeignStep) -> nn.Module:
    """Return what the file holds, to be counted and looked at."""
    held = nn.ParameterDict()
    for at, tensor in enumerate(step.model_proto.graph.initializer):
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind == "f":
            value = torch.from_numpy(array.copy())
            held[f"constant_{at}"] = nn.Parameter(value, requires_grad=False)
    return held
