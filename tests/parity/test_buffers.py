"""A session that holds on to its caller's memory is found, and by nothing else; files do not."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("coremltools")
from torch import Tensor, nn

from edgernn.bundle import Bundle
from edgernn.contract import Contract, FileContract
from edgernn.contract.build import build_contract
from edgernn.export import export_step
from edgernn.models.eager import EagerSession
from edgernn.models.module import ModuleModel
from edgernn.parity import free_rows, invariance, memory
from edgernn.parity.buffers import poisoned
from edgernn.parity.memory import TOLERANCE, calls_of
from edgernn.parity.shapes import draw
from edgernn.sessions.base import Session
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.mil.session import MilSession
from edgernn.sessions.opening import open_session
from tests.parity.test_memory import CONTRACT

Feeds = dict[str, np.ndarray]
_SHAPES = draw(3)


class GivesItBack(FakeSession):
    """Leaves one state as it is, and gives it back as it came: the caller's own memory."""

    def _run(self, feeds: Feeds) -> Feeds:
        ids, made = feeds["tokens"], list[Feeds]()  # [B, T]
        own = {**feeds, "c": np.zeros_like(feeds["c"])}
        for t in range(ids.shape[1]):
            made.append(super()._run({**own, "tokens": ids[:, t : t + 1]}))
            own["h"] = made[-1]["h_next"]
        logits = np.concatenate([each["logits"] for each in made], 1)  # [B, T, V]
        return {**made[-1], "logits": logits, "c_next": feeds["c"]}


class KnowsArraysByTheirPlace(FakeSession):
    """Answers arrays that it has seen, by their places in memory, with what it gave before."""

    def __init__(self, file_contract: FileContract) -> None:
        super().__init__(file_contract)
        self.seen: dict[tuple[int, ...], tuple[Feeds, Feeds]] = {}

    def _run(self, feeds: Feeds) -> Feeds:
        key = tuple(map(id, feeds.values()))
        return self.seen.setdefault(key, (feeds, super()._run(feeds)))[1]


class WritesInPart(FakeSession):
    """Writes over the memory of the results that it gave before, where they change."""

    given: Feeds | None = None

    def _run(self, feeds: Feeds) -> Feeds:
        results, before = super()._run(feeds), self.given
        if before is not None and before["c_next"].shape == results["c_next"].shape:
            largest = np.abs(before["c_next"]) < np.inf  # not so of NaN
            results["c_next"] = np.where(largest, results["c_next"], before["c_next"])
        self.given = results
        return results


DEFECTS = [GivesItBack, KnowsArraysByTheirPlace, WritesInPart]


def worst(session: Session) -> float:
    return max(drift.scaled for drift in poisoned(session, [*calls_of(session, _SHAPES)]))


@pytest.mark.parametrize("kind", DEFECTS)
def test_memory_of_the_caller_that_is_held_shows(kind: type[FakeSession]) -> None:
    assert worst(kind(CONTRACT)) > 10 * TOLERANCE
    assert worst(FakeSession(CONTRACT)) == 0


@pytest.mark.parametrize("kind", DEFECTS)
def test_nothing_else_shows_it(kind: type[FakeSession]) -> None:
    session = kind(CONTRACT)
    checks = [*invariance.INVARIANCES.values(), free_rows.free_rows]
    found = [drift for check in checks for drift in check(session, _SHAPES, 6)]
    found += memory.repeats(session, kind(CONTRACT), _SHAPES)
    assert max(drift.scaled for drift in found) <= TOLERANCE


class Kept(nn.Module):
    """A gain that no step changes is a state, too."""

    def forward(self, x: Tensor, gain: Tensor, total: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        after = total + gain * x
        return after.tanh(), gain, after


def kept_contract() -> Contract:
    return build_contract(
        inputs={"x": "float32[batch, w=3]"},
        states={"gain": "float32[batch, w]", "total": "float32[batch, w]"},
        outputs={"y": "float32[batch, w]"},
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of a network one of whose states no step changes."""
    folder = tmp_path_factory.mktemp("kept") / "bundle"
    formats = ["onnx", "torchscript", "coreml"]
    return export_step(Kept(), kept_contract(), folder, to=formats, steps=8)


@pytest.mark.parametrize(
    ("made", "path"),
    [
        ("kept", "onnx/step.onnx"),
        ("kept", "torchscript/step.pt"),
        ("kept", "coreml/step.mlpackage"),
        ("bundle", "onnx/step.onnx"),
        ("bundle", "torchscript/step.pt"),
        ("bundle", "coreml/step.mlpackage"),
    ],
)
def test_files_hold_nothing_of_it(request: pytest.FixtureRequest, made: str, path: str) -> None:
    bundle: Bundle = request.getfixturevalue(made)
    artifact = bundle.artifact(path)
    if artifact.format == "coreml":
        session: Session = MilSession.open(bundle.path(path), bundle.file_contract(artifact))
    else:
        session = open_session(bundle, path)
    assert worst(session) == 0


def test_the_reference_holds_nothing_of_it() -> None:
    assert worst(EagerSession(ModuleModel(Kept(), kept_contract()))) == 0
