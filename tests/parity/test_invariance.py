"""What must not matter does not, and where it does it shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.bundle import Bundle
from edgernn.contract import FileContract, Narrowing
from edgernn.model_contracts import language_contract
from edgernn.models.language import LanguageModel
from edgernn.parity import invariance
from edgernn.parity.rollout import Drift, Feed, random_feed, random_inputs, random_state, run
from edgernn.sessions.base import Session
from edgernn.sessions.eager import EagerSession
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.opening import open_session

CONTRACT = FileContract(contract=language_contract("lstm", layers=2, hidden=3, vocabulary=7))
ALL = (invariance.chunks, invariance.rows, invariance.state_is_data)


def worst(drifts: tuple[Drift, ...]) -> float:
    return max(drift.scaled for drift in drifts)


@pytest.mark.parametrize("check", ALL)
def test_honest_sessions_pass(check: Callable[[Session, int], tuple[Drift, ...]], bundle: Bundle) -> None:
    for session in (FakeSession(CONTRACT), open_session(bundle, "onnx"), open_session(bundle, "torchscript")):
        assert worst(check(session, 24)) < 1e-5


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 1000))
def test_any_cut_gives_what_the_whole_gives(lengths: list[int], seed: int) -> None:
    session = FakeSession(CONTRACT)
    inputs = random_inputs(session.contract, batch=2, steps=sum(lengths), seed=seed)
    start = random_state(session.contract, batch=2, seed=seed)
    feed = Feed(inputs, {}, start)
    whole, cut = (list(run(session, feed, lengths=chosen))[-1] for chosen in ((sum(lengths),), lengths))
    assert all(np.allclose(whole[name], cut[name], atol=1e-6) for name in ("h_next", "c_next"))


@settings(max_examples=10, deadline=None)
@given(split=st.integers(1, 15), seed=st.integers(0, 100))
def test_a_real_file_may_be_cut_anywhere(split: int, seed: int, real: EagerSession) -> None:
    feed = random_feed(real, batch=2, steps=16, seed=seed)
    whole = list(run(real, feed, lengths=(16,)))
    cut = list(run(real, feed, lengths=(split, 16 - split)))
    joined = np.concatenate([step["logits"] for step in cut], axis=1)
    assert np.allclose(whole[0]["logits"], joined, atol=1e-5)


@pytest.fixture(scope="module")
def real(make_model: Callable[..., LanguageModel]) -> EagerSession:
    return EagerSession(make_model())


def test_what_a_narrow_file_cannot_vary_is_left_out() -> None:
    narrow = CONTRACT.model_copy(update={"narrowing": Narrowing(axes={"batch": 1, "time": 1})})
    session = FakeSession(narrow)
    assert invariance.chunks(session, 8) == invariance.rows(session, 8) == ()
    assert worst(invariance.state_is_data(session, 8)) == 0


class Leaky(FakeSession):
    """Every row hears a little of the first."""

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = super()._run(feeds)
        results["h_next"] = results["h_next"] + 0.01 * results["h_next"][:, :1]
        return results


class Frozen(FakeSession):
    """Looks at the first step of a call only."""

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        first = {**feeds, "tokens": np.repeat(feeds["tokens"][:, :1], feeds["tokens"].shape[1], axis=1)}
        return super()._run(first)


class Remembering(FakeSession):
    """Keeps its state to itself."""

    kept: np.ndarray | None = None

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self.kept is not None and self.kept.shape == feeds["h"].shape:
            feeds = {**feeds, "h": self.kept}
        results = super()._run(feeds)
        self.kept = results["h_next"]
        return results


class Overwriting(FakeSession):
    """Writes into the state that it was given."""

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = super()._run(feeds)
        feeds["c"] *= 0
        return results


@pytest.mark.parametrize(
    ("session", "check"),
    [
        (Leaky, invariance.rows),
        (Frozen, invariance.chunks),
        (Remembering, invariance.state_is_data),
        (Overwriting, invariance.state_is_data),
    ],
)
def test_each_defect_shows(session: type[FakeSession], check: Callable[[Session, int], tuple[Drift, ...]]) -> None:
    assert worst(check(session(CONTRACT), 12)) > 1e-3
