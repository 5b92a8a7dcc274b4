"""What must not matter does not, and where it does it shows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.bundle import Bundle
from edgernn.contract import FileContract, Narrowing
from edgernn.families.language import language_contract
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity import invariance
from edgernn.parity.drift import Drift
from edgernn.parity.feed import Feed, random_feed
from edgernn.parity.rollout import run
from edgernn.parity.shapes import draw
from edgernn.sessions.draw import random_inputs, random_state
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.opening import open_session

CONTRACT = FileContract(contract=language_contract(("h", "c"), layers=2, hidden=3, vocabulary=7))
ALL = (invariance.chunks, invariance.rows, invariance.state_is_data)
SHAPES = draw(1)


def worst(drifts: tuple[Drift, ...]) -> float:
    return max(drift.scaled for drift in drifts)


@pytest.mark.parametrize("check", ALL)
def test_honest_sessions_pass(check: invariance.Invariance, bundle: Bundle) -> None:
    for session in (
        FakeSession(CONTRACT),
        open_session(bundle, "onnx"),
        open_session(bundle, "torchscript"),
    ):
        assert worst(check(session, SHAPES, 24)) < 1e-5


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 1000))
def test_any_cut_gives_what_the_whole_gives(lengths: list[int], seed: int) -> None:
    session = FakeSession(CONTRACT)
    inputs = random_inputs(session.contract, batch=2, steps=sum(lengths), seed=seed)
    start = random_state(session.contract, batch=2, seed=seed)
    feed = Feed(inputs, {}, start)
    whole, cut = (
        list(run(session, feed, lengths=chosen))[-1] for chosen in ((sum(lengths),), lengths)
    )
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
    assert invariance.chunks(session, SHAPES, 8) == invariance.rows(session, SHAPES, 8) == ()
    assert worst(invariance.state_is_data(session, SHAPES, 8)) == 0


class Leaky(FakeSession):
    """Every row hears a little of the first."""

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = super()._run(feeds)
        results["h_next"] = results["h_next"] + 0.01 * results["h_next"][:, :1]
        return results


class Frozen(FakeSession):
    """Looks at the first step of a call only."""

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        first = {
            **feeds,
            "tokens": np.repeat(feeds["tokens"][:, :1], feeds["tokens"].shape[1], axis=1),
        }
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
def test_each_defect_shows(session: type[FakeSession], check: invariance.Invariance) -> None:
    assert worst(check(session(CONTRACT), SHAPES, 12)) > 1e-3


class LongCallsBreak(FakeSession):
    """Right at every short call, wrong at a long one."""

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = super()._run(feeds)
        return {
            **results,
            "logits": results["logits"] * (0.9 if feeds["tokens"].shape[1] > 64 else 1),
        }


class LargeBatchesBreak(FakeSession):
    """Right for a few rows, wrong for many."""

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = super()._run(feeds)
        return {**results, "h_next": results["h_next"] * (0.9 if len(feeds["tokens"]) > 8 else 1)}


@pytest.mark.parametrize("seed", range(8))
def test_what_is_wrong_beyond_the_small_shapes_shows_with_any_seed(seed: int) -> None:
    assert worst(invariance.chunks(LongCallsBreak(CONTRACT), draw(seed), 48)) > 1e-2
    assert worst(invariance.rows(LargeBatchesBreak(CONTRACT), draw(seed), 48)) > 1e-2


def test_a_chaotic_reference_is_asked_for_as_long_as_it_holds() -> None:
    measured = invariance.measure(
        invariance.chunks,
        Chaotic(CONTRACT),
        SHAPES,
        48,
        judge=Chaotic(CONTRACT),
        limit=1e-4,
        half=False,
    )
    assert measured.worst <= 1e-4
    assert measured.steps < 48
    assert measured.own is not None
    wrong = invariance.measure(
        invariance.chunks,
        ChaoticAndWrong(CONTRACT),
        SHAPES,
        48,
        judge=Chaotic(CONTRACT),
        limit=1e-4,
        half=False,
    )
    assert wrong.worst > 1e-4


class Chaotic(FakeSession):
    """Doubles every small difference of its state at each step, and adds its rows in an order of
    its own.
    """

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        h = feeds["h"].astype(np.float32)  # [L, B, H]
        ids = feeds["tokens"]
        logits = np.zeros((*ids.shape, 7), np.float32)
        for t in range(ids.shape[1]):
            h = np.abs(
                1 - np.float32(1.9) * np.abs(h) * np.float32(1 + 1e-7 * (ids.shape[1] > 1))
            )  # the tent map
            logits[:, t] = self._head(h.mean((0, 2)))[:, None]
        return {"logits": logits, "h_next": h, "c_next": feeds["c"]}

    def _head(self, mean: np.ndarray) -> np.ndarray:
        return mean


class ChaoticAndWrong(Chaotic):
    """The same, and long calls are off by a thousandth."""

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = super()._run(feeds)
        return {
            **results,
            "logits": results["logits"] + np.float32(1e-3 * (feeds["tokens"].shape[1] > 1)),
        }
