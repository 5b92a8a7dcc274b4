"""Eager torch: the reference against which every artifact is judged, rebuilt from a checkpoint
folder.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from edgernn.contract import FileContract
from edgernn.contract.interface import FileDescription
from edgernn.models import checkpoint
from edgernn.models.family import RecurrentModel
from edgernn.sessions.base import Arrays, Session
from edgernn.sessions.torch_kernels import place_of, plain_kernels, to_tensor, work_of

_ROUNDED = (torch.bfloat16, torch.float16)
_ONCE = ("encoder.", "encode.")  # how the names of parameters begin that encode alone has


class EagerSession(Session):
    """A session over the model itself; keep it in evaluation mode, as ``checkpoint.load`` returns
    it.
    """

    runtime = "eager torch"

    def __init__(self, model: RecurrentModel, file_contract: FileContract | None = None) -> None:
        contract = model.config.contract()
        first = None
        if contract.starting("stored"):
            names = (state.name for state in contract.step.states)
            with plain_kernels():
                first = {
                    name: _numpy(tensor)
                    for name, tensor in zip(names, model.initial_state(1), strict=True)
                }
        super().__init__(file_contract or FileContract(contract=contract), first)
        self.model = model
        held = (*model.parameters(), *model.buffers())  # a step may be arithmetic alone
        self._device = held[0].device if held else torch.device("cpu")
        once = self.spec.once
        own = (p for name, p in model.named_parameters() if name.startswith(_ONCE) == once)
        self._parameters = sum(parameter.numel() for parameter in own)  # of this graph
        self._weights = {place_of(each) for each in held}

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``; the interface is the contract's own, as there is no file to
        disagree with it.
        """
        file_contract = FileContract(contract=checkpoint.load(path).model.config.contract())
        return FileDescription(file_contract.interface(), file_contract.to_metadata())

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> EagerSession:
        """See ``Session.open``; ``first_state`` is not needed, the model holds it."""
        return cls(checkpoint.load(path).model, file_contract)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = {name: to_tensor(array).to(self._device) for name, array in feeds.items()}
        with plain_kernels(work_of(self.spec, feeds, parameters=self._parameters)):
            results = self.model.graph(
                self.spec.name, *(given[spec.name] for spec in self.spec.inputs)
            )
        others = self._weights | {place_of(each) for each in given.values()}
        return {
            spec.name: _numpy(tensor.clone() if place_of(tensor) in others else tensor)
            for spec, tensor in zip(self.spec.outputs, results, strict=True)
        }


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    exact = tensor.dtype not in _ROUNDED  # numpy has no bfloat16, and a half is no reference
    return (tensor.detach() if exact else tensor.detach().float()).cpu().numpy()
