"""A chained rollout finds nothing between equals and everything that goes wrong with recurrent
state.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from edgernn.contract import FileContract, Narrowing
from edgernn.families.language import language_contract
from edgernn.models.cells.table import FUSED
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.parity.drift import Drift, drifts
from edgernn.parity.feed import Feed
from edgernn.parity.rollout import Plan, Rollout, compare, plans, run
from edgernn.parity.shapes import LENGTHS, MANY, SEVERAL
from edgernn.sessions.base import Session
from edgernn.sessions.draw import random_inputs, random_state
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.fileless import FilelessSession

Feeds = dict[str, np.ndarray]
Change = Callable[[Feeds, Feeds], Feeds]
CONTRACT = language_contract(("h", "c"), layers=2, hidden=4, vocabulary=11)
ROWS = Plan(3, (1,) * 8)


def fake(narrowing: Narrowing | None = None) -> FakeSession:
    return FakeSession(FileContract(contract=CONTRACT, narrowing=narrowing or Narrowing()))


class Spoiled(FilelessSession):
    """A right session whose feeds or results are changed on the way: one classic defect each."""

    def __init__(
        self,
        inner: Session,
        *,
        feeds: Change = lambda new, _: new,
        results: Change = lambda new, _: new,
    ) -> None:
        super().__init__(inner.file_contract, inner.first_state)
        self.inner, self.change_feeds, self.change_results = inner, feeds, results
        self.before: Feeds = {}  # the feeds of the last call

    def _run(self, feeds: Feeds) -> Feeds:
        results = self.change_results(
            dict(self.inner._run(self.change_feeds(dict(feeds), self.before))), feeds
        )
        self.before = {**feeds, **results}
        return results


def zeroed_each_step(feeds: Feeds, _: Feeds) -> Feeds:
    return {**feeds, "h": np.zeros_like(feeds["h"]), "c": np.zeros_like(feeds["c"])}


def swapped_on_the_way_in(feeds: Feeds, _: Feeds) -> Feeds:
    return {**feeds, "h": feeds["c"], "c": feeds["h"]}


def swapped_on_the_way_out(results: Feeds, _: Feeds) -> Feeds:
    return {**results, "h_next": results["c_next"], "c_next": results["h_next"]}


def the_state_that_came_in(results: Feeds, feeds: Feeds) -> Feeds:
    return {**results, "h_next": feeds["h"], "c_next": feeds["c"]}


def only_the_cell_state_lost(results: Feeds, _: Feeds) -> Feeds:
    return {**results, "c_next": np.zeros_like(results["c_next"])}


def one_row_leaks_into_the_next(results: Feeds, _: Feeds) -> Feeds:
    leaked = results["h_next"].copy()
    leaked[:, 1:] += 0.01 * leaked[:, :-1]  # [L, B, H]
    return {**results, "h_next": leaked}


def rows_exchanged(results: Feeds, _: Feeds) -> Feeds:
    return {
        name: array[::-1] if name == "logits" else array[:, ::-1] for name, array in results.items()
    }


def layers_exchanged(results: Feeds, _: Feeds) -> Feeds:
    return {**results, "h_next": results["h_next"][::-1]}


def a_little_more_each_step(results: Feeds, _: Feeds) -> Feeds:
    return {**results, "c_next": results["c_next"] + np.float32(1e-3)}


def not_a_number(results: Feeds, _: Feeds) -> Feeds:
    broken = results["h_next"].copy()
    broken[0, 0, 0] = np.nan
    return {**results, "h_next": broken}


def wrong_outputs_only(results: Feeds, _: Feeds) -> Feeds:
    return {**results, "logits": results["logits"] + np.float32(0.02)}


FEED_DEFECTS = [zeroed_each_step, swapped_on_the_way_in]
RESULT_DEFECTS = [
    swapped_on_the_way_out,
    the_state_that_came_in,
    only_the_cell_state_lost,
    one_row_leaks_into_the_next,
    rows_exchanged,
    layers_exchanged,
    a_little_more_each_step,
    not_a_number,
    wrong_outputs_only,
]


@pytest.fixture(params=["fake", "eager"])
def reference(request: pytest.FixtureRequest, make_model: Callable[..., LanguageModel]) -> Session:
    return fake() if request.param == "fake" else EagerSession(make_model())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("axes", "batches"),
    [({}, 4), ({"time": 1}, 3), ({"batch": 1}, 2), ({"batch": 2}, 2), ({"batch": 1, "time": 1}, 1)],
    ids=str,
)
def test_a_plan_asks_only_what_the_file_takes(
    axes: dict[str, int], batches: int, seed: int
) -> None:
    found = plans(fake(Narrowing(axes=axes)), 9, seed=seed)
    assert len(found) == batches
    assert found[0] == Plan(axes.get("batch", 1), (1,) * 9)
    assert "batch" not in axes or {plan.batch for plan in found} == {axes["batch"]}
    assert "time" not in axes or {length for plan in found for length in plan.lengths} == {1}


def test_a_file_with_open_axes_meets_every_range() -> None:
    for seed in range(20):
        found = plans(fake(), 256, seed=seed)
        lengths, rows = (
            {length for plan in found for length in plan.lengths},
            {plan.batch for plan in found},
        )
        assert all(any(low <= length <= high for length in lengths) for low, high in LENGTHS)
        assert all(any(low <= count <= high for count in rows) for low, high in (SEVERAL, MANY))
        assert sum(plan.batch * plan.steps for plan in found) <= 2500  # today's time


@pytest.mark.parametrize("plan", [Plan(1, (1,) * 8), ROWS, Plan(2, (3, 1, 4))], ids=str)
def test_nothing_between_equals(reference: Session, plan: Plan) -> None:
    found = compare(reference, Spoiled(reference), plan, seed=1)
    assert [drift.tensor for drift in found.drifts] == ["logits", "h_next", "c_next"]
    for drift in found.drifts:
        assert drift.curve.tolist() == [0.0] * len(plan.lengths)
        assert drift.scale > 0
    assert found.worst.scaled == 0
    assert found.plan == plan


@pytest.mark.parametrize("cell", FUSED)
def test_one_session_twice_is_equal(make_model: Callable[..., LanguageModel], cell: str) -> None:
    model = make_model(cell=cell, learned_initial_state=True)
    assert (
        compare(EagerSession(model), EagerSession(model), Plan(2, (5, 1, 1)), seed=3).worst.worst
        == 0
    )


@pytest.mark.parametrize(
    ("forced", "least"), [(False, 1e-3), (True, 0.05)], ids=["chained", "forced"]
)
@pytest.mark.parametrize("defect", FEED_DEFECTS, ids=lambda change: change.__name__)
def test_a_defect_of_what_is_fed_is_caught(
    reference: Session, defect: Change, forced: bool, least: float
) -> None:
    assert (
        compare(
            reference, Spoiled(reference, feeds=defect), ROWS, seed=1, forced=forced
        ).worst.scaled
        > least
    )


@pytest.mark.parametrize("defect", RESULT_DEFECTS, ids=lambda change: change.__name__)
def test_a_defect_of_what_comes_out_is_caught(reference: Session, defect: Change) -> None:
    assert compare(reference, Spoiled(reference, results=defect), ROWS, seed=1).worst.scaled > 1e-3


def test_a_leak_between_rows_needs_rows(reference: Session) -> None:
    leaking = Spoiled(reference, results=one_row_leaks_into_the_next)
    assert compare(reference, leaking, Plan(1, (1,) * 8), seed=1).worst.scaled == 0
    assert compare(reference, leaking, ROWS, seed=1).worst.tensor == "h_next"


def test_a_state_kept_in_secret_shows_in_the_second_run(reference: Session) -> None:
    def own_state(feeds: Feeds, before: Feeds) -> Feeds:
        same = "h_next" in before and before["h_next"].shape == feeds["h"].shape
        return {**feeds, "h": before["h_next"], "c": before["c_next"]} if same else feeds

    secretive = Spoiled(reference, feeds=own_state)
    assert compare(reference, secretive, ROWS, seed=1).worst.scaled == 0
    assert compare(reference, secretive, ROWS, seed=2).worst.scaled > 1e-2


def test_drift_shows_where_and_how_fast_it_grows() -> None:
    found = compare(fake(), Spoiled(fake(), results=a_little_more_each_step), ROWS, seed=1)
    curve = found.drifts[2].curve
    assert found.drifts[2].tensor == "c_next"
    expected = [
        1e-3 * sum(0.5**i for i in range(step + 1)) for step in range(8)
    ]  # s' = s / 2 + ...
    np.testing.assert_allclose(curve, expected, atol=1e-6)
    assert not found.drifts[1].curve.any()


def test_the_measure_is_relative_for_large_values_and_absolute_for_small() -> None:
    curve = np.array([0.1, 0.4, 0.2])
    assert (Drift("h", curve, 0.5).worst, Drift("h", curve, 0.5).scaled) == (0.4, 0.4)
    assert Drift("h", curve, 8.0).scaled == pytest.approx(0.05)
    assert Drift("h", curve, 8.0).worst_call == 1
    rollout = Rollout(ROWS, (Drift("logits", curve, 8.0), Drift("h", curve / 2, 0.1)))
    assert rollout.worst.tensor == "h"


def test_what_is_not_finite_or_of_another_shape_is_infinitely_far() -> None:
    right = np.ones((2, 3), np.float32)
    for wrong in (
        np.full((2, 3), np.nan),
        np.full((2, 3), np.inf),
        np.ones((3, 2)),
        np.ones((1, 3)),
    ):
        (drift,) = drifts(iter([({"h": right}, {"h": right}), ({"h": right}, {"h": wrong})]))
        assert drift.curve.tolist() == [0.0, math.inf]
        assert drift.worst_call == 1
        assert drift.scaled == math.inf


@pytest.mark.parametrize(
    ("expected", "found"),
    [(np.nan, 0.5), (np.inf, np.inf), (np.inf, 0.5), (np.nan, np.nan)],
    ids=str,
)
def test_a_reference_that_is_not_finite_proves_nothing(expected: float, found: float) -> None:
    """Whatever the candidate says: the run must come out as out of every tolerance, wherever the
    tensor stands.
    """
    fine = np.ones(3, np.float32)
    pair = ({"h": fine, "c": np.full(3, expected)}, {"h": fine, "c": np.full(3, found)})
    rollout = Rollout(Plan(1, (1,)), drifts(iter([pair])))
    assert rollout.worst.tensor == "c"
    assert rollout.worst.scaled > 1e9


def test_every_call_feeds_back_its_own_state() -> None:
    session = fake()
    inputs, start = (
        random_inputs(CONTRACT, batch=2, steps=6, seed=1),
        random_state(CONTRACT, batch=2, seed=2),
    )
    made = list(run(session, Feed(inputs, {}, start), lengths=(1, 2, 3)))
    assert session.calls == 3
    assert [step["logits"].shape for step in made] == [(2, 1, 11), (2, 2, 11), (2, 3, 11)]
    assert all(step.keys() == {"logits", "h_next", "c_next"} for step in made)
    state = start
    for step, tokens in zip(made, np.split(inputs["tokens"], [1, 3], axis=1), strict=True):
        outputs, state = fake().step({"tokens": tokens}, state)
        assert np.array_equal(step["logits"], outputs["logits"])
        assert np.array_equal(step["h_next"], state["h"])


def test_the_start_is_never_zeros_and_never_the_same_twice() -> None:
    state = random_state(CONTRACT, batch=3, seed=5)
    assert {name: (array.shape, array.dtype) for name, array in state.items()} == {
        "h": ((2, 3, 4), np.float32),
        "c": ((2, 3, 4), np.float32),
    }
    values = np.concatenate([array.ravel() for array in state.values()])
    assert len(np.unique(values)) == len(values)
    assert np.abs(values).max() < 0.5
    assert np.abs(values).min() > 0
    again, other = (random_state(CONTRACT, batch=3, seed=seed) for seed in (5, 6))
    assert np.array_equal(state["h"], again["h"])
    assert not np.array_equal(state["h"], other["h"])


def test_inputs_cover_the_vocabulary() -> None:
    (tokens,) = random_inputs(CONTRACT, batch=2, steps=200, seed=5).values()
    assert (tokens.shape, tokens.dtype) == ((2, 200), np.int64)
    assert set(tokens.ravel().tolist()) == set(range(11))
    assert not np.array_equal(tokens[0], tokens[1])


def test_a_forced_run_judges_each_step_alone() -> None:
    spoiled = Spoiled(fake(), results=a_little_more_each_step)
    forced = {
        drift.tensor: drift for drift in compare(fake(), spoiled, ROWS, seed=1, forced=True).drifts
    }["c_next[1]"]
    free = compare(fake(), spoiled, ROWS, seed=1).drifts[2]
    assert forced.curve.max() == pytest.approx(
        1e-3, rel=1e-2
    )  # of calls with large values it is less
    assert forced.curve.min() > 5e-4
    assert free.curve[-1] > 1.9e-3
    assert forced.scaled == pytest.approx(forced.worst / forced.scale)


def test_a_state_that_grows_is_measured_by_its_own_size() -> None:
    def ten_percent_off(results: Feeds, _: Feeds) -> Feeds:
        return {name: array * np.float32(1.1) for name, array in results.items()}

    growing = [{"h": np.full((1, 1, 2), 2.0**step, np.float32)} for step in range(12)]
    (drift,) = drifts(((step, ten_percent_off(step, {})) for step in growing), relative=True)
    assert drift.scaled == pytest.approx(0.1, rel=1e-3)


def test_a_forced_run_judges_each_layer_alone() -> None:
    def one_layer_lost(results: Feeds, _: Feeds) -> Feeds:
        return {
            **results,
            "h_next": results["h_next"] * np.array([1, 0], np.float32)[:, None, None],
        }

    found = compare(fake(), Spoiled(fake(), results=one_layer_lost), ROWS, seed=1, forced=True)
    assert found.worst.scaled == pytest.approx(1)
    assert all(drift.scaled == 0 for drift in found.drifts if drift.tensor != "h_next[1]")
