"""The learning rate and the budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.training.schedule import Budget, learning_rate

SHAPE = {"peak": 0.01, "warmup": 0.1, "floor": 0.02}


@given(st.floats(-1, 2))
def test_the_rate_stays_between_zero_and_peak(progress: float) -> None:
    assert 0 < learning_rate(progress, **SHAPE) <= 0.01


def test_the_rate_rises_then_falls_to_its_floor() -> None:
    assert learning_rate(0.05, **SHAPE) == pytest.approx(0.005)
    assert learning_rate(0.1, **SHAPE) == pytest.approx(0.01)
    assert learning_rate(0.55, **SHAPE) == pytest.approx(0.01 * (0.02 + 0.98 * 0.5))
    assert learning_rate(1.0, **SHAPE) == pytest.approx(0.0002)
    falling = [learning_rate(0.1 + 0.09 * i, **SHAPE) for i in range(11)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize(("unit", "share"), [("minutes", 0.5), ("steps", 2.0), ("epochs", 0.15)])
def test_a_budget_measures_its_own_unit(unit: str, share: float) -> None:
    budget = Budget.model_validate({"unit": unit, "amount": 10})
    assert budget.progress(step=20, epochs=1.5, seconds=300) == pytest.approx(share)
    assert str(budget) == f"10 {unit}"
