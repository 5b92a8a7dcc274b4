"""A session without a model: a small linear recurrence in numpy, for tests of what drives
sessions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgernn.contract import METADATA_KEY, FileContract, next_name
from edgernn.contract.interface import FileDescription
from edgernn.sessions.base import Arrays, Session


class FakeSession(Session):
    """Steps ``s' = s / 2 + token / V`` in every state, and prefers the token ``(token + 1) mod V``.

    It keeps the protocol exactly, for any single-input language contract, and counts its calls in
    ``calls``.
    """

    runtime = "a fake"

    def __init__(self, file_contract: FileContract, first_state: Arrays | None = None) -> None:
        super().__init__(file_contract, first_state)
        self.calls = 0

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """Read the contract from the JSON file at ``path``."""
        text = path.read_text(encoding="utf-8", errors="replace")
        file_contract = FileContract.from_metadata({METADATA_KEY: text}, source=str(path))
        return FileDescription(file_contract.interface(), file_contract.to_metadata())

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> FakeSession:
        """See ``Session.open``."""
        return cls(file_contract, first_state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.calls += 1
        (tokens,) = (feeds[spec.name] for spec in self.spec.caller_inputs)  # [B, T]
        (output,) = self.spec.read_outputs
        vocabulary = self.contract.sizes[output.axes[-1]]
        states = {state.name: feeds[state.name].astype(np.float32) for state in self.spec.states}
        logits = np.zeros((*tokens.shape, vocabulary), np.float32)
        for t in range(tokens.shape[1]):
            heard = (tokens[None, :, t, None] / vocabulary).astype(np.float32)  # [1, B, 1]
            states = {name: state / np.float32(2) + heard for name, state in states.items()}
            mean = sum(state.mean((0, 2)) for state in states.values())  # [B]
            logits[:, t] = np.asarray(mean)[:, None] / 4
            np.put_along_axis(logits[:, t], (tokens[:, t : t + 1] + 1) % vocabulary, 4.0, axis=1)
        dtype = self.file_contract.dtype
        nexts = {next_name(s.name): states[s.name].astype(dtype(s)) for s in self.spec.states}
        return {output.name: logits, **nexts}
