"""Eager torch: the reference against which every artifact is judged, rebuilt from a checkpoint folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from edgernn.contract import FileContract, FileDescription, next_name
from edgernn.models import checkpoint
from edgernn.models.language import LanguageModel
from edgernn.sessions.base import Arrays, Session
from edgernn.sessions.torch_kernels import plain_kernels, to_tensor


class EagerSession(Session):
    """A session over the model itself; keep it in evaluation mode, as ``checkpoint.load`` returns it."""

    runtime = "eager torch"

    def __init__(self, model: LanguageModel, file_contract: FileContract | None = None) -> None:
        own = model.config.contract()
        file_contract = file_contract or FileContract(contract=own)
        names = (state.name for state in own.step.states)
        with plain_kernels():
            first = {name: _numpy(tensor) for name, tensor in zip(names, model.initial_state(1), strict=True)}
        super().__init__(file_contract, first)
        self.model = model
        self._device = next(model.parameters()).device

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``; the interface is the contract's own, as there is no file to disagree with it."""
        file_contract = FileContract(contract=checkpoint.load(path).model.config.contract())
        return FileDescription(file_contract.interface(), file_contract.to_metadata())

    @classmethod
    def open(cls, path: Path, file_contract: FileContract, first_state: Arrays | None = None) -> EagerSession:
        """See ``Session.open``; ``first_state`` is not needed, the model holds it."""
        return cls(checkpoint.load(path).model, file_contract)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = {name: to_tensor(array).to(self._device) for name, array in feeds.items()}
        (tokens,) = (given[spec.name] for spec in self.spec.caller_inputs)
        states = self.spec.states
        with plain_kernels():
            output, after = self.model(tokens, tuple(given[state.name] for state in states))
        (read,) = self.spec.read_outputs
        named = {next_name(state.name): _numpy(tensor) for state, tensor in zip(states, after, strict=True)}
        return {read.name: _numpy(output), **named}


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()
