"""The wall clock of a run: time is kept for what comes last, dear evaluations are fewer and
shorter, saves come early.
"""

from __future__ import annotations

import pytest

from edgernn.training.pace import Pace
from edgernn.training.schedule import Budget

MINUTES, STEPS = Budget(unit="minutes", amount=2), Budget(unit="steps", amount=100)


def share(pace: Pace, seconds: float, step: int = 1) -> float:
    return pace.share(step=step, epochs=0.0, seconds=seconds)


def test_training_ends_early_enough_for_the_last_evaluation_and_save() -> None:
    pace = Pace(MINUTES, evaluation=15.0, save=5.0)
    assert share(pace, 50.0) == pytest.approx(0.5)
    assert share(pace, 99.0) < 1 <= share(pace, 100.0)


def test_a_step_that_would_end_far_past_the_budget_is_not_begun() -> None:
    pace = Pace(MINUTES)
    pace.stepped(30.0)
    assert share(pace, 100.0) < 1
    assert share(pace, 106.0) == 1.0  # after it 136 s would be over


def test_what_comes_last_takes_no_more_than_half() -> None:
    assert share(Pace(MINUTES, evaluation=500.0), 59.0) < 1


@pytest.mark.parametrize("budget", [STEPS, Budget(unit="epochs", amount=3)])
def test_nothing_in_another_budget_depends_on_time(budget: Budget) -> None:
    pace = Pace(budget, evaluation=500.0, save=500.0, step=500.0)
    assert share(pace, 1e6, step=50) == (0.5 if budget is STEPS else 0.0)
    assert pace.evaluation_fits(0.0)
    assert pace.affordable(1e6) == 1.0
    assert not pace.overdue(1e9)
    assert pace.preparing(100.0) == 0.0


def test_what_leads_to_the_run_counts_for_at_most_half_of_it() -> None:
    assert Pace(MINUTES).preparing(7.0) == 7.0
    assert Pace(MINUTES).preparing(500.0) == 60.0


def test_evaluations_are_spread_by_what_they_cost() -> None:
    pace = Pace(MINUTES)
    pace.evaluated(cost=4.0, at=20.0)
    assert not pace.evaluation_fits(50.0)
    assert pace.evaluation_fits(56.0)


def test_one_evaluation_takes_no_more_than_a_twentieth() -> None:
    assert Pace(MINUTES).affordable(3.0) == 1.0
    assert Pace(MINUTES).affordable(60.0) == pytest.approx(0.1)


def test_a_run_is_saved_at_once_soon_again_and_then_every_minute() -> None:
    pace, saved = Pace(MINUTES), []
    for second in range(200):
        if pace.save_due(float(second)):
            saved.append(second)
            pace.saved(cost=0.1, at=float(second))
    assert saved == [0, 5, 15, 30, 90, 150]


def test_dear_saves_are_seldom() -> None:
    pace = Pace(MINUTES)
    pace.saved(cost=10.0, at=0.0)
    assert not pace.save_due(199.0)
    assert pace.save_due(201.0)


def test_one_step_is_made_however_little_time_there_is() -> None:
    assert share(Pace(MINUTES), 500.0, step=0) < 1 <= share(Pace(MINUTES), 500.0, step=1)
