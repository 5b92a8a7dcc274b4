"""How far a host is off that sets nothing: told where the runtime's defaults compute otherwise."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from edgernn.contract import FileContract, next_name
from edgernn.models.language import LanguageConfig
from edgernn.parity import defaults
from edgernn.sessions.base import LeftToItself, Session


class Counting(Session):
    """Adds 1 to each state, or a little more."""

    runtime = "a test"

    def __init__(self, file_contract: FileContract, more: float = 0.0, told: bool = False) -> None:
        super().__init__(file_contract)
        self.more, self.told = more, told

    describe = open = classmethod(lambda cls, *given: None)  # type: ignore[assignment]

    def left_to_itself(self) -> LeftToItself | None:
        own = Counting(self.file_contract, self.more + 0.25)
        return LeftToItself(own, "alone it adds more") if self.told else None

    def _run(self, feeds: dict[str, Any]) -> dict[str, Any]:
        made = {next_name(s.name): feeds[s.name] * 0 + 1 + self.more for s in self.spec.states}
        (scores,) = self.spec.read_outputs
        sizes = {"batch": len(feeds["tokens"]), "time": feeds["tokens"].shape[1]}
        shape = tuple(sizes.get(axis) or self.contract.sizes[axis] for axis in scores.axes)
        return {**made, scores.name: np.zeros(shape, np.float32)}


def contract() -> FileContract:
    config = LanguageConfig(vocabulary=9, hidden=4, embedding=4)
    return FileContract(contract=config.contract())


def test_the_difference_is_told() -> None:
    told = defaults.words(Counting(contract(), told=True), 8, seed=1)
    assert re.fullmatch(r"; alone it adds more: [hc]_next\S* 2\.5e-01 off over \d+ steps", told)


def test_nothing_is_told_where_they_compute_alike() -> None:
    assert defaults.words(Counting(contract()), 8, seed=1) == ""
