"""Trying numbers of threads on a run's own task leaves no trace in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.captioner import Captioner, CaptionerConfig
from edgernn.training.caption_objective import CaptionOptions
from edgernn.training.captions import CaptionTask
from edgernn.training.distributed import World
from edgernn.training.schedule import Budget
from edgernn.training.trial import Threads

STEPS = Budget(unit="steps", amount=10)


@pytest.fixture
def task(picture_set: object, scene_tokenizer: Tokenizer, tmp_path: Path) -> CaptionTask:
    """A captioner with batch statistics, hard attention's baseline and dropped words: all that a
    step changes.
    """
    torch.manual_seed(0)
    size = scene_tokenizer.vocabulary_size
    config = CaptionerConfig(
        vocabulary=size,
        conditioning="hard-attention",
        hidden=8,
        embedding=6,
        keys=4,
        image_size=32,
        length=5,
    )
    model = Captioner(config)
    return CaptionTask(
        model,
        picture_set,
        tokenizer=scene_tokenizer,
        options=CaptionOptions(),
        decoding=config.decoding(scene_tokenizer),
        world=World(),
        batch=3,
        seed=0,
        mixed=False,
        folder=tmp_path,
        about={},
    )


def _everything(task: CaptionTask) -> list[torch.Tensor]:
    kept = [*task.model.state_dict().values(), *task.state().values(), torch.get_rng_state()]
    return [tensor.clone() for tensor in kept]


def _threads(task: CaptionTask, **options: object) -> Threads:
    optimizer = torch.optim.AdamW(task.model.parameters())
    return Threads(task, optimizer, **{"told": None, "world": World(), "budget": STEPS, **options})


def test_a_trial_leaves_no_trace(task: CaptionTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads, before = _threads(task), _everything(task)
    with threads.put_back():
        found = threads.choose(0.0, lambda: False)
        assert found is not None
        assert threads.number == found.threads == torch.get_num_threads()
    assert all(torch.equal(a, b) for a, b in zip(before, _everything(task), strict=True))
    assert all(parameter.grad is None for parameter in task.model.parameters())


def test_a_stop_ends_the_trials_and_leaves_no_trace_either(
    task: CaptionTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    asked = iter([False, False, True])
    threads, before = _threads(task), _everything(task)
    with threads.put_back():
        assert threads.choose(0.0, lambda: next(asked)) is None
    assert threads.number == 0
    assert all(torch.equal(a, b) for a, b in zip(before, _everything(task), strict=True))


@pytest.mark.parametrize(
    ("environment", "options"),
    [("", {"told": 1}), ("1", {}), ("", {"world": World(0, 2)})],
    ids=["told", "OMP", "shared"],
)
def test_nothing_is_tried_where_the_number_is_known(
    task: CaptionTask, environment: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if environment:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
    refuse: Callable[[], bool] = lambda: pytest.fail("a trial")  # noqa: E731
    threads = _threads(task, **options)
    assert threads.number == options.get("told", torch.get_num_threads())
    assert threads.choose(0.0, refuse) is None


def test_a_resumed_run_keeps_the_number_it_had_unless_another_is_told(
    task: CaptionTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    kept, told = _threads(task), _threads(task, told=1)
    for threads in (kept, told):
        threads.keep(2, 30.0)
    assert (kept.number, told.number) == (2, 1)
    assert kept.choose(1e6, lambda: False) is None  # a budget in steps is tried once
