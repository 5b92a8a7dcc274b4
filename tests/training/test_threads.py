"""Numbers of threads: tried in turns, the fastest taken, told and kept ones left alone, and no
trace of a trial.
"""

from __future__ import annotations

import pytest

from edgernn.training import threads as tried
from edgernn.training.schedule import Budget
from edgernn.training.threads import Chooser, Measured, fastest, usable_cores


class Machine:
    """A clock that a trial moves on, by what a trial takes with the threads that are set."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.now, self.threads, self.trials = seconds, 0.0, 0, list[int]()

    def set(self, threads: int) -> None:
        self.threads = threads

    def trial(self) -> None:
        self.now += self.seconds[self.threads]
        self.trials.append(self.threads)

    def fastest(self, seconds: float) -> Measured:
        return fastest(
            self.trial,
            max(self.seconds),
            seconds=seconds,
            set_threads=self.set,
            clock=lambda: self.now,
        )


def test_the_fastest_is_taken_and_every_rate_is_told() -> None:
    found = Machine({1: 0.1, 2: 0.06, 4: 0.03, 6: 0.05}).fastest(3.0)
    assert found.threads == 4
    assert found.rates == pytest.approx({1: 10, 2: 16.67, 4: 33.3, 6: 20}, rel=0.01)
    assert (
        str(found)
        == "4 threads (gradients tried: 10/s with 1, 16.7/s with 2, 33.3/s with 4, 20/s with 6)"
    )


def test_more_threads_have_to_be_worth_it() -> None:
    assert Machine({1: 0.100, 2: 0.097}).fastest(3.0).threads == 1


def test_it_takes_about_as_long_as_it_may_and_a_hopeless_number_has_one_turn() -> None:
    machine = Machine({1: 0.01, 2: 10.0})
    assert machine.fastest(3.0).threads == 1
    assert machine.trials.count(2) == 1
    slow = Machine({1: 0.01, 2: 0.05})
    slow.fastest(0.1)
    assert slow.trials.count(2) == 2  # one that starts the threads, and one
    even = Machine({1: 0.01, 2: 0.01})
    even.fastest(3.0)
    assert even.now == pytest.approx(3.0, rel=0.2)


def test_a_step_of_any_length_is_tried_twice_with_each_number() -> None:
    machine = Machine({1: 20.0, 2: 15.0})
    assert machine.fastest(0.1).threads == 2
    assert machine.trials == [1, 1, 2, 2]


def test_a_run_of_steps_tries_once_and_one_of_minutes_now_and_then() -> None:
    steps = Chooser(0, fixed=False, budget=Budget(unit="steps", amount=100))
    minutes = Chooser(0, fixed=False, budget=Budget(unit="minutes", amount=10))
    for chooser in (steps, minutes):
        assert chooser.due(0.0)
        chooser.tried(2, 0.0)
    assert not steps.due(1e6)
    assert (minutes.due(59.0), minutes.due(60.0)) == (False, True)
    minutes.tried(2, 60.0)  # the same again: later
    assert (minutes.due(179.0), minutes.due(180.0)) == (False, True)


def test_a_told_number_stays() -> None:
    assert not Chooser(2, fixed=True, budget=Budget(unit="minutes", amount=10)).due(1e6)


def test_trying_takes_a_small_share() -> None:
    assert Chooser(0, fixed=False, budget=Budget(unit="minutes", amount=1)).allowed(
        9.0
    ) == pytest.approx(0.6)
    assert Chooser(0, fixed=False, budget=Budget(unit="steps", amount=100)).allowed(
        0.2
    ) == pytest.approx(0.2)
    assert Chooser(0, fixed=False, budget=Budget(unit="epochs", amount=1)).allowed(0.2) == 3.0


def test_a_containers_quota_counts(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    assert isinstance(tmp_path, Path)
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(tried, "_QUOTA", quota)
    bound = usable_cores()
    for text, expected in (
        ("max 100000", bound),
        ("50000 100000", 1),
        ("150000 100000", min(2, bound)),
    ):
        quota.write_text(text + "\n")
        assert usable_cores() == expected
