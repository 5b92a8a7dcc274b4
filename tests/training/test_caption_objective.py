"""What a captioner's loss counts: the words of a reference, some dropped or its own, and what
attention adds.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn.data.pictures.caption_ids import PAD_ID, START_ID, UNKNOWN_ID
from edgernn.models.conditioning import CONDITIONINGS
from edgernn.training.captions import CaptionTask

MakeTask = Callable[..., CaptionTask]


def logits_of(task: CaptionTask, which: np.ndarray, tokens: Tensor) -> Tensor:
    """What the model predicts in training mode, computed on a copy, ``[B, T, V]``."""
    model = copy.deepcopy(task.model).train()
    image = torch.from_numpy(task._pictures.pictures[which])
    with torch.no_grad():
        logits: Tensor = model(*model.encode(image), tokens[:, :-1]).logits
    return logits


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_objective_is_cross_entropy_over_what_is_not_padding(
    make_task: MakeTask, smoothing: float
) -> None:
    task, same = (make_task(options={"label_smoothing": smoothing}) for _ in range(2))
    which, tokens = same._next_batch()
    assert (tokens == PAD_ID).any()
    wanted = tokens[:, 1:].flatten()
    logits = logits_of(task, which, tokens).flatten(0, 1)
    objective, loss, count = task.next_loss(0.0)
    cross_entropy = nn.functional.cross_entropy
    assert loss.item() == pytest.approx(
        cross_entropy(logits, wanted, ignore_index=PAD_ID).item(), rel=1e-5
    )
    smoothed = cross_entropy(logits, wanted, ignore_index=PAD_ID, label_smoothing=smoothing).item()
    assert objective.item() == pytest.approx(smoothed, rel=1e-5)
    assert (objective.item() == loss.item()) == (smoothing == 0)
    assert count == (wanted != PAD_ID).sum()


@pytest.mark.parametrize("conditioning", ["soft-attention", "every-step"])
def test_more_padding_changes_nothing(make_task: MakeTask, conditioning: str) -> None:
    task = make_task(
        model={"conditioning": conditioning},
        options={"label_smoothing": 0.1, "attention_penalty": 0.5},
    )
    which, tokens = task._next_batch()
    image = torch.from_numpy(task._pictures.pictures[which])
    longer = torch.cat([tokens, torch.zeros_like(tokens[:, :3])], 1)
    for found, expected in zip(
        task._loss(image, longer, None), task._loss(image, tokens, None), strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_dropped_words_are_unknown_and_the_first_never_is(make_task: MakeTask) -> None:
    tokens = torch.full((200, 6), 9)
    tokens[:, 0] = START_ID
    torch.manual_seed(0)
    fed = make_task(options={"word_dropout": 0.3})._loss._fed(tokens)
    assert (fed[:, 0] == START_ID).all()
    assert set(fed[:, 1:].unique().tolist()) == {9, UNKNOWN_ID}
    assert (fed[:, 1:] == UNKNOWN_ID).float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert make_task()._loss._fed(tokens) is tokens


def test_dropped_words_are_still_to_be_predicted(make_task: MakeTask) -> None:
    task, same = make_task(options={"word_dropout": 0.6}), make_task()
    which, tokens = same._next_batch()
    fed: list[Tensor] = []
    hook = task.model.register_forward_pre_hook(lambda module, given: fed.append(given[2]))
    loss = task.next_loss(0.0)[1]
    hook.remove()
    assert (fed[0] != tokens[:, :-1]).any()
    logits = logits_of(task, which, torch.cat([fed[0], tokens[:, -1:]], 1)).flatten(0, 1)
    expected = nn.functional.cross_entropy(logits, tokens[:, 1:].flatten(), ignore_index=PAD_ID)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_scheduled_sampling_feeds_the_models_own_words(make_task: MakeTask, share: float) -> None:
    task, same = (make_task(batch=9, options={"scheduled_sampling": 1.0}) for _ in range(2))
    with torch.no_grad():
        task.model.head.bias[UNKNOWN_ID] = (
            1e4  # its own word is always this one, which no reference has
        )
    fed: list[Tensor] = []
    hook = task.model.embedding.register_forward_pre_hook(
        lambda module, given: fed.append(given[0])
    )
    for _ in range(3):
        _, tokens = same._next_batch()
        fed.clear()
        task.next_loss(share)
        words = torch.cat(fed, 1)
        own = words == UNKNOWN_ID
        assert (words[:, 0] == START_ID).all()
        assert torch.equal(words[~own], tokens[:, :-1][~own])
        assert own[:, 1:].float().mean().item() == pytest.approx(
            share, abs=0.15 if share == 0.5 else 0
        )
    hook.remove()


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_everything_learns(make_task: MakeTask, conditioning: str) -> None:
    options = {
        "scheduled_sampling": 0.5,
        "attention_penalty": 0.1,
        "label_smoothing": 0.1,
        "word_dropout": 0.1,
    }
    task = make_task(model={"conditioning": conditioning}, options=options)
    for _ in range(2):
        task.next_loss(0.5)[0].backward()
    assert not [
        name
        for name, p in task.model.named_parameters()
        if p.grad is None or not p.grad.abs().sum() > 0
    ]
