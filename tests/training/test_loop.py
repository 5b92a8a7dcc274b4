"""The training loop, driven by a small task: when it evaluates, saves, stops, and what it refuses
to save.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import TrainingError
from edgernn.training import resume
from edgernn.training.distributed import World
from edgernn.training.loop import Loop
from edgernn.training.options import TrainOptions
from edgernn.training.progress import EvaluationReport, Silent, StepReport
from edgernn.training.schedule import Budget
from edgernn.training.task import Evaluation, GoOn


class Line:
    """Fit ``y = 3 x``; the epoch is a hundred steps."""

    split, unit = "a line", "point"

    def __init__(
        self,
        *,
        losses: list[float] | None = None,
        criteria: list[float] | None = None,
        nan_at: int = -1,
        interrupt_at: int = -1,
    ) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(1, 1)
        self.at, self.kept = 0, []
        self._losses, self._nan_at, self._interrupt_at = losses, nan_at, interrupt_at
        self._criteria, self.shares, self.rates = (
            criteria,
            list[float](),
            {"weight": 1.0, "bias": 1.0},
        )

    def next_loss(self, share: float) -> tuple[Tensor, Tensor, int]:
        self.at += 1
        self.shares.append(share)
        if self.at == self._interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        x = torch.rand(4, 1)
        loss = ((self.model(x) - 3 * x) ** 2).mean()
        loss = loss * float("nan") if self.at == self._nan_at else loss
        return loss, loss.detach(), 4

    def epochs(self) -> float:
        return self.at / 100

    def rate_of(self, name: str) -> float:
        return self.rates[name]

    def evaluate(self, share: float, go_on: GoOn) -> Evaluation:
        loss = self._losses.pop(0) if self._losses else abs(self.model.weight.item() - 3)
        criterion = self._criteria.pop(0) if self._criteria else loss
        return Evaluation(loss, criterion, {"score": -criterion})

    def sample(self) -> str:
        return f"{self.model.weight.item():.1f}"

    def save_best(self, *, step: int, found: Evaluation) -> None:
        self.kept.append((step, found.loss))

    def state(self) -> dict[str, Tensor]:
        return {"at": torch.tensor(self.at)}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        self.at = int(tensors["task.at"])


class Notes(Silent):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.steps: list[StepReport] = []
        self.evaluations: list[EvaluationReport] = []

    def on_step(self, report: StepReport) -> None:
        self.steps.append(report)

    def on_evaluation(self, report: EvaluationReport) -> None:
        self.evaluations.append(report)


def _loop(
    task: Line, path: Path, *, amount: float = 100, unit: str = "steps", **options: object
) -> tuple[Loop, Notes]:
    chosen = TrainOptions.model_validate(
        {"budget": {"unit": unit, "amount": amount}, "evaluations": 4, "peak_rate": 0.1, **options}
    )
    notes = Notes()
    return Loop(
        task, chosen, path=path / "state", world=World(), reporter=notes, setup={"a": 1}
    ), notes


def test_it_learns_evaluates_evenly_and_ends_on_its_budget(tmp_path: Path) -> None:
    task = Line()
    loop, notes = _loop(task, tmp_path)
    progress = loop.run()
    assert [report.step for report in notes.evaluations] == [25, 50, 75, 100]
    assert [report.step for report in notes.steps] == list(range(10, 101, 10))
    assert progress.step == 100
    assert progress.done
    assert progress.best < 0.5
    assert notes.evaluations[-1].validation_loss == pytest.approx(abs(task.model.weight.item() - 3))
    assert all(report.split == "a line" for report in notes.evaluations)


def test_an_epoch_budget(tmp_path: Path) -> None:
    assert _loop(Line(), tmp_path, unit="epochs", amount=0.4)[0].run().step == 40


def test_a_time_budget(tmp_path: Path) -> None:
    progress = _loop(Line(), tmp_path, unit="minutes", amount=0.005)[0].run()
    assert 0.3 <= progress.seconds < 5
    assert progress.step > 1


def test_only_better_weights_are_kept(tmp_path: Path) -> None:
    task = Line(losses=[3.0, 1.0, 2.0, 0.5])
    loop, notes = _loop(task, tmp_path)
    assert loop.run().best == 0.5
    assert task.kept == [(25, 3.0), (50, 1.0), (100, 0.5)]
    assert [report.best for report in notes.evaluations] == [True, True, False, True]


def test_the_best_is_what_has_the_least_criterion_not_the_least_loss(tmp_path: Path) -> None:
    task = Line(losses=[3.0, 1.0, 2.0, 0.5], criteria=[-0.1, -0.3, -0.4, -0.2])
    loop, notes = _loop(task, tmp_path)
    progress = loop.run()
    assert (progress.best, progress.best_loss, progress.measured) == (-0.4, 2.0, {"score": 0.4})
    assert task.kept == [(25, 3.0), (50, 1.0), (75, 2.0)]
    assert [report.best for report in notes.evaluations] == [True, True, True, False]
    assert [report.measured["score"] for report in notes.evaluations] == [0.1, 0.3, 0.4, 0.2]
    assert [report.validation_loss for report in notes.evaluations] == [3.0, 1.0, 2.0, 0.5]
    resumed = resume.load(tmp_path / "state")[0]
    assert (resumed.best, resumed.best_loss, resumed.measured) == (-0.4, 2.0, {"score": 0.4})
    early, _ = _loop(
        Line(losses=[4.0, 3.0, 2.0, 1.0], criteria=[-0.3, -0.2, -0.1, -0.9]), tmp_path, patience=2
    )
    assert early.run().step == 75


def test_a_criterion_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    task = Line(criteria=[float("nan")])
    with pytest.raises(TrainingError, match="at step 25; the weights saved before are kept"):
        _loop(task, tmp_path)[0].run()
    assert task.kept == []


def test_parameters_learn_at_their_own_rates(tmp_path: Path) -> None:
    task = Line()
    task.rates = {"weight": 0.25, "bias": 0.0}
    before = task.model.bias.item()
    loop, _ = _loop(task, tmp_path, weight_decay=0.0)
    loop.run()
    assert task.model.bias.item() == before
    assert task.model.weight.item() != 0
    rates = {group["share"]: group["lr"] for group in loop.optimizer.param_groups}
    assert rates[0.25] > rates[0.0] == 0
    slow = task.model.weight.item()
    fast = Line()
    fast.rates = {"weight": 1.0, "bias": 0.0}
    _loop(fast, tmp_path, weight_decay=0.0)[0].run()
    assert abs(fast.model.weight.item() - 3) < abs(slow - 3)


def test_a_task_hears_how_much_of_the_run_is_used(tmp_path: Path) -> None:
    task = Line()
    _loop(task, tmp_path)[0].run()
    assert task.shares == pytest.approx([step / 100 for step in range(100)])


def test_it_stops_early_when_nothing_gets_better(tmp_path: Path) -> None:
    loop, _ = _loop(Line(losses=[1.0, 2.0, 2.0, 0.1]), tmp_path, patience=2)
    assert loop.run().step == 75
    assert _loop(Line(losses=[1.0, 2.0, 2.0, 0.1]), tmp_path, patience=0)[0].run().step == 100


def test_a_loss_that_is_not_finite_ends_the_run_and_saves_nothing_bad(tmp_path: Path) -> None:
    loop, _ = _loop(Line(nan_at=33), tmp_path)
    with pytest.raises(
        TrainingError, match=r"the loss is nan near step 40; .*smaller --learning-rate than 0.1"
    ):
        loop.run()
    progress, tensors = resume.load(tmp_path / "state")
    assert progress.step == 25
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())


def test_a_validation_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    task = Line(losses=[float("inf")])
    with pytest.raises(TrainingError, match="validation loss is inf at step 25"):
        _loop(task, tmp_path)[0].run()
    assert task.kept == []


def test_weights_that_are_not_finite_are_not_kept_whatever_the_loss(tmp_path: Path) -> None:
    class Spoilt(Line):
        def evaluate(self, share: float, go_on: GoOn) -> Evaluation:
            self.model.scale[1] = float("inf") if self.kept else 1.0
            return super().evaluate(share, go_on)

    task = Spoilt(losses=[1.0, 0.5])
    task.model.register_buffer("scale", torch.ones(3))
    says = (
        r"weights are not finite at step 50: scale \(1 of 3 values, the first inf\); the weights "
        r"saved before are kept"
    )
    with pytest.raises(TrainingError, match=says):
        _loop(task, tmp_path)[0].run()
    assert task.kept == [(25, 1.0)]


def test_ctrl_c_ends_cleanly_and_saves_where_it_stands(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    loop, _ = _loop(Line(interrupt_at=42), tmp_path)
    progress = loop.run()
    assert loop.interrupted
    assert not progress.done
    assert resume.load(tmp_path / "state")[0].step == progress.step == 42
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("stop", [7, 25, 42])
def test_a_run_that_was_stopped_makes_the_same_steps(stop: int, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, heard = _loop(Line(), tmp_path / "a")
    whole.run()
    first, _ = _loop(Line(interrupt_at=stop), tmp_path / "b")
    first.run()
    second, heard_again = _loop(Line(), tmp_path / "b")
    second.restore(*resume.load(tmp_path / "b" / "state"))
    second.run()

    def losses(notes: Notes) -> list[tuple[int, float, float]]:
        return [(r.step, r.train_loss, r.validation_loss) for r in notes.evaluations]

    assert losses(heard_again) == losses(heard)[-len(losses(heard_again)) :]
    assert torch.equal(second.task.model.weight, whole.task.model.weight)


def test_a_longer_budget_goes_on_after_the_end(tmp_path: Path) -> None:
    _loop(Line(), tmp_path)[0].run()
    longer, notes = _loop(Line(), tmp_path, amount=200)
    longer.restore(*resume.load(tmp_path / "state"))
    assert longer.run().step == 200
    assert [report.step for report in notes.evaluations] == [150, 200]
    assert Budget(unit="steps", amount=200) == longer.options.budget
