"""A file that remembers is found, whatever it remembers; one that does not is not."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.bundle import Bundle
from edgernn.contract import FileContract
from edgernn.families.language import language_contract
from edgernn.parity.memory import TOLERANCE, repeats
from edgernn.parity.shapes import draw
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.opening import open_session

CONTRACT = FileContract(contract=language_contract(("h", "c"), layers=2, hidden=3, vocabulary=7))
Feeds = dict[str, np.ndarray]


class CachesTheFirstStep(FakeSession):
    """Answers every single step from zeros with the first one that it made."""

    first: Feeds | None = None

    def _run(self, feeds: Feeds) -> Feeds:
        results = super()._run(feeds)
        if feeds["tokens"].shape != (1, 1) or feeds["h"].any():
            return results
        self.first = self.first or results
        return self.first


class CachesByIds(FakeSession):
    """Answers the same ids with the same results, whatever the state."""

    def __init__(self, file_contract: FileContract) -> None:
        super().__init__(file_contract)
        self.kept: dict[bytes, Feeds] = {}

    def _run(self, feeds: Feeds) -> Feeds:
        key = feeds["tokens"].tobytes()
        return self.kept.setdefault(key, super()._run(feeds))


class Tires(FakeSession):
    """Is a little further off at every call."""

    def _run(self, feeds: Feeds) -> Feeds:
        results = super()._run(feeds)
        return {**results, "logits": results["logits"] * np.float32(1 + 1e-4 * self.calls)}


class WarmsUp(FakeSession):
    """Is right from the fourth call on."""

    def _run(self, feeds: Feeds) -> Feeds:
        results = super()._run(feeds)
        return results if self.calls > 3 else {**results, "c_next": results["c_next"] + 1}


class HearsTheLastCall(FakeSession):
    """Adds a little of the state that it gave before."""

    last = np.float32(0)

    def _run(self, feeds: Feeds) -> Feeds:
        results = super()._run(feeds)
        before, self.last = self.last, results["h_next"].mean()
        return {**results, "h_next": results["h_next"] + np.float32(0.01) * before}


DEFECTS = [CachesTheFirstStep, CachesByIds, Tires, WarmsUp, HearsTheLastCall]


def worst(kind: type[FakeSession], seed: int) -> float:
    return max(drift.scaled for drift in repeats(kind(CONTRACT), kind(CONTRACT), draw(seed)))


@pytest.mark.parametrize("kind", DEFECTS)
def test_what_is_remembered_shows(kind: type[FakeSession]) -> None:
    assert all(worst(kind, seed) > 10 * TOLERANCE for seed in range(5))
    assert worst(FakeSession, 1) == 0


@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_honest_files_remember_nothing(bundle: Bundle, name: str) -> None:
    pytest.importorskip("torch" if name == "torchscript" else "numpy")
    for seed in range(3):
        used, fresh = open_session(bundle, name), open_session(bundle, name)
        assert max(drift.scaled for drift in repeats(used, fresh, draw(seed))) <= TOLERANCE
