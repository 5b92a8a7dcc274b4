"""The captioner as a task: its batches, what counts in its loss, what stays frozen, and how it is
measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from edgernn.data.pictures.caption_ids import (
    PAD_ID,
    START_ID,
    UNKNOWN_ID,
    caption_text,
    encode_caption,
    pad_captions,
)
from edgernn.data.pictures.picture_set import PictureSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import TrainingError, UsageError
from edgernn.families.caption_scores import SCORES, score_captions
from edgernn.models import checkpoint
from edgernn.training.captions import CaptionTask
from edgernn.training.distributed import World
from edgernn.training.loop import Loop
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Silent
from edgernn.training.task import Evaluation

MakeTask = Callable[..., CaptionTask]


def batches(task: CaptionTask, count: int) -> list[tuple[list[int], list[list[int]]]]:
    return [
        (which.tolist(), tokens.tolist())
        for which, tokens in (task._next_batch() for _ in range(count))
    ]


def test_batches_follow_from_the_seed_and_the_step_alone(make_task: MakeTask) -> None:
    task, again, other = make_task(), make_task(), make_task(seed=1)
    made = batches(task, 8)
    torch.manual_seed(99)
    assert batches(again, 8) == made
    assert batches(other, 8) != made
    late = make_task()
    late.set_state({"task.position": torch.tensor([5]), "task.baseline": torch.tensor(0.5)})
    assert batches(late, 3) == made[5:]
    assert late.epochs() == task.epochs() == 4


def test_a_pass_takes_each_picture_once_and_the_next_one_in_another_order(
    make_task: MakeTask,
) -> None:
    made = batches(make_task(), 40)
    passes = [made[place][0] + made[place + 1][0] for place in range(0, 40, 2)]
    assert all(
        len(set(order)) == 8 and set(order) <= set(range(9)) for order in passes
    )  # nine do not fill three batches
    assert len({tuple(order) for order in passes}) > 15
    assert set().union(*passes) == set(range(9))
    told = {
        (which, tuple(tokens))
        for whole, texts in made
        for which, tokens in zip(whole, texts, strict=True)
    }
    assert len({tokens for which, tokens in told if which == 0}) > 1  # another reference each time


def test_tokens_are_a_reference_from_start_to_end(
    make_task: MakeTask, picture_set: PictureSet, scene_tokenizer: Tokenizer
) -> None:
    which, tokens = make_task()._next_batch()
    for index, ids in zip(which, tokens.tolist(), strict=True):
        known = [
            encode_caption(scene_tokenizer, text).tolist() for text in picture_set.captions[index]
        ]
        assert [token for token in ids if token != PAD_ID] in known


class Sharing(World):
    """One of several processes, seen alone."""

    def wrap(self, module: nn.Module, *, partly: bool = False) -> nn.Module:
        return module


def test_processes_share_the_rows_of_one_batch(make_task: MakeTask) -> None:
    whole, halves = make_task(), [make_task(world=Sharing(rank, 2)) for rank in range(2)]
    for _ in range(5):
        (which, _), parts = whole._next_batch(), [half._next_batch()[0] for half in halves]
        assert which.tolist() == np.concatenate(parts).tolist()


def test_a_batch_that_cannot_be_made_is_refused(make_task: MakeTask) -> None:
    with pytest.raises(
        UsageError,
        match="a batch of 4 pictures cannot be shared evenly by 3 processes; use a multiple",
    ):
        make_task(world=World(0, 3))
    with pytest.raises(
        TrainingError,
        match="there are 9 training pictures, a batch needs 10; use a smaller --batch",
    ):
        make_task(batch=10)


def test_the_share_of_its_own_words_rises_with_the_run(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task(options={"scheduled_sampling": 0.5})
    marks: list[Tensor | None] = []
    forward = task.model.forward
    monkeypatch.setattr(
        task.model, "forward", lambda *given: (marks.append(given[3]), forward(*given))[1]
    )
    torch.manual_seed(0)
    for share in (0.0, 1.0, 1.0, 1.0, 1.7):
        task.next_loss(share)
    rates = [mark.float().mean().item() for mark in marks if mark is not None]
    assert (rates[0], len(rates)) == (0, 5)
    assert np.mean(rates[1:]) == pytest.approx(0.5, abs=0.12)


def statistics(task: CaptionTask) -> list[Tensor]:
    return [tensor.clone() for tensor in task.model.encoder.buffers() if tensor.ndim < 2]


@pytest.mark.parametrize(
    ("options", "share", "learns", "statistics_move"),
    [
        ({}, 0.0, True, True),
        ({"frozen": 0.5}, 0.49, False, False),
        ({"frozen": 0.5}, 0.5, True, True),
        ({"frozen": 1.0}, 0.99, False, False),
        ({"pretrained": True}, 0.0, True, False),
        ({"pretrained": True, "frozen": 0.5}, 0.2, False, False),
    ],
    ids=str,
)
def test_what_of_the_encoder_stays_as_it_is(
    make_task: MakeTask, options: dict[str, Any], share: float, learns: bool, statistics_move: bool
) -> None:
    task = make_task(options=options)
    before = statistics(task)
    task.next_loss(share)[0].backward()
    gradients = [
        parameter.grad is not None
        for name, parameter in task.model.named_parameters()
        if name.startswith("encoder.")
    ]
    assert set(gradients) == {learns}
    moved = [not torch.equal(old, new) for old, new in zip(before, statistics(task), strict=True)]
    assert set(moved) == {statistics_move}
    assert all(
        p.grad is not None
        for name, p in task.model.named_parameters()
        if not name.startswith("encoder.")
    )


def test_the_encoders_rate_is_its_own(make_task: MakeTask) -> None:
    task = make_task(options={"encoder_rate": 0.1})
    rates = {name: task.rate_of(name) for name, _ in task.model.named_parameters()}
    assert {name.split(".")[0] for name, rate in rates.items() if rate == 0.1} == {"encoder"}
    assert {rate for name, rate in rates.items() if not name.startswith("encoder.")} == {1.0}


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


class Distributed(World):
    """One process that wraps as several do."""

    def wrap(self, module: nn.Module, *, partly: bool = False) -> nn.Module:
        return DistributedDataParallel(module, find_unused_parameters=partly)


def test_a_frozen_encoder_may_thaw_in_several_processes(make_task: MakeTask, group: None) -> None:
    task = make_task(options={"frozen": 0.5}, world=Distributed())
    for share in (0.0, 0.2, 0.6, 0.8):
        task.next_loss(share)[0].backward()
    assert all(parameter.grad is not None for parameter in task.model.parameters())


def test_it_is_measured_running_free(
    make_task: MakeTask, picture_set: PictureSet, scene_tokenizer: Tokenizer
) -> None:
    task = make_task()
    found = task.evaluate()
    assert not task.model.training
    assert task.split == "4 validation pictures of a test"
    chosen = list(picture_set.split("validation"))
    written = [
        caption_text(scene_tokenizer, own_words(task, picture_set.pictures[index]))
        for index in chosen
    ]
    scores = score_captions(written, [picture_set.captions[index] for index in chosen])
    assert found.measured == {name: scores[name] for name in SCORES}
    assert found.criterion == pytest.approx(-scores["cider_d"], abs=1e-4)
    assert found.loss == pytest.approx(loss_by_hand(task, chosen), rel=1e-5)
    assert task.sample() == written[0]


def test_captions_of_many_words_are_measured_in_smaller_parts(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    chosen = np.array(task._validation[:4])
    whole, tokens = task._validation_loss(chosen)
    monkeypatch.setattr("edgernn.training.captions.positions_at_a_time", lambda vocabulary: 30)
    lost, count = task._validation_loss(chosen)
    assert (lost, count) == (pytest.approx(whole), tokens)


def own_words(task: CaptionTask, picture: np.ndarray) -> list[int]:
    """Each word fed back, written out."""
    model, words, fed = task.model, list[int](), START_ID
    with torch.no_grad():
        contexts, state = model.encode(torch.from_numpy(picture.copy())[None])
        while len(words) < model.config.length:
            logits, _, state = model.step(torch.tensor([[fed]]), contexts, state)
            logits[0, 0, [PAD_ID, START_ID, UNKNOWN_ID]] = -torch.inf
            fed = int(logits.argmax())
            if fed in task._decoding.stop:
                break
            words.append(fed)
    return words


def loss_by_hand(task: CaptionTask, chosen: list[int]) -> float:
    total = []
    for index in chosen:
        for text in task._pictures.captions[index]:
            ids = torch.from_numpy(
                pad_captions([encode_caption(task._tokenizer, text)], task.model.config.length)
            )
            with torch.no_grad():
                image = torch.from_numpy(task._pictures.pictures[index].copy())[None]
                logits = task.model(*task.model.encode(image), ids[:, :-1]).logits
            total.append(nn.functional.cross_entropy(logits[0], ids[0, 1:], reduction="none"))
    return torch.cat(total).mean().item()


def test_among_equal_captions_the_loss_decides(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    names = SCORES
    monkeypatch.setattr(
        "edgernn.training.captions.score_captions", lambda *_: dict.fromkeys(names, 0.25)
    )
    first = task.evaluate()
    with torch.no_grad():
        task.model.head.bias[7] -= 3
    second = task.evaluate()
    assert second.loss != first.loss
    assert (second.criterion < first.criterion) == (second.loss < first.loss)
    assert first.criterion == pytest.approx(-0.25, abs=1e-3)


def test_save_best_leaves_a_checkpoint_that_says_how_good_it_is(
    make_task: MakeTask, scene_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    task = make_task(about={"corpus": "a test"})
    scene_tokenizer.save(tmp_path / checkpoint.TOKENIZER)
    task._next_batch()
    task.save_best(step=7, found=Evaluation(1.25, -0.5, {"cider_d": 0.5}))
    loaded = checkpoint.load(tmp_path)
    about = {"corpus": "a test", "split": "4 validation pictures of a test"}
    assert loaded.training == {
        **about,
        "step": 7,
        "epochs": 0.5,
        "validation_loss": 1.25,
        "cider_d": 0.5,
    }
    wanted = task.model.state_dict()
    assert all(
        torch.equal(tensor, wanted[name]) for name, tensor in loaded.model.state_dict().items()
    )


def test_the_tokens_of_all_processes_are_counted(make_task: MakeTask) -> None:
    one, same = (make_task(world=Sharing(1, 2)) for _ in range(2))
    _, tokens = same._next_batch()
    assert one.next_loss(0.0)[2] == 2 * int((tokens[:, 1:] != PAD_ID).sum())


def test_a_step_takes_the_encoder_on_at_its_own_rate(make_task: MakeTask, tmp_path: Path) -> None:
    task = make_task(options={"encoder_rate": 0.25})
    budget = {"unit": "steps", "amount": 9}
    options = TrainOptions.model_validate(
        {"budget": budget, "peak_rate": 0.01, "warmup": 0.5, "weight_decay": 0.0}
    )
    before = {name: parameter.detach().clone() for name, parameter in task.model.named_parameters()}
    loop = Loop(task, options, path=tmp_path / "state", world=World(), reporter=Silent(), setup={})
    loop._step(0.5)  # the end of the warm-up
    moved = {
        name: (p.detach() - before[name]).abs().max().item()
        for name, p in task.model.named_parameters()
    }
    for name, most in moved.items():  # Adam's first step is as long as its rate
        assert most == pytest.approx(0.0025 if name.startswith("encoder.") else 0.01, rel=1e-2), (
            name
        )


def test_captions_that_equal_a_reference_match(
    make_task: MakeTask,
    picture_set: PictureSet,
    scene_tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = make_task()
    chosen = list(picture_set.split("validation"))
    written = [
        caption_text(scene_tokenizer, own_words(task, picture_set.pictures[index]))
        for index in chosen
    ]
    assert len(set(written)) == len(written)
    measured = []
    for texts in (written, written[::-1]):
        captions = list(picture_set.captions)
        for index, text in zip(chosen, texts, strict=True):
            captions[index] = (text, *captions[index])
        monkeypatch.setattr(task, "_pictures", replace(picture_set, captions=tuple(captions)))
        measured.append(task.evaluate().measured)
    assert (measured[0]["exact_match"], measured[1]["exact_match"]) == (1, 0)
    assert measured[0]["cider_d"] > measured[1]["cider_d"]


def test_a_model_that_repeats_one_word_matches_nothing_however_sure_it_is(
    make_task: MakeTask,
) -> None:
    found = []
    for certainty in (5.0, 9.0):
        task = make_task()
        with torch.no_grad():
            task.model.head.weight.zero_()
            task.model.head.bias.zero_()
            task.model.head.bias[9] = certainty
        assert len(task.sample().split()) == 20
        assert len(set(task.sample().split())) == 1
        found.append(task.evaluate())
    assert [each.measured["exact_match"] for each in found] == [0, 0]
    assert found[0].measured == found[1].measured
    assert found[0].loss < found[1].loss  # the surer, the worse
    assert found[0].criterion < found[1].criterion


def test_the_first_validation_pictures_are_measured_some_at_a_time(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = make_task().evaluate()
    monkeypatch.setattr("edgernn.training.captions._ROWS", 3)
    parts = make_task().evaluate()
    assert (parts.measured, parts.loss) == (found.measured, pytest.approx(found.loss, rel=1e-6))
    monkeypatch.setattr("edgernn.training.captions.EVALUATION_PICTURES", 2)
    fewer = make_task()
    assert fewer.split == "2 validation pictures of a test"
    assert fewer.evaluate().loss == pytest.approx(
        loss_by_hand(fewer, list(fewer._validation)), rel=1e-5
    )


def test_captions_are_cut_to_the_models_length(make_task: MakeTask) -> None:
    task = make_task(model={"length": 3})
    asked: list[Tensor] = []
    hook = task.model.register_forward_pre_hook(lambda module, given: asked.append(given[2]))
    task.next_loss(0.0)
    found = task.evaluate()
    hook.remove()
    assert [tokens.shape[1] for tokens in asked] == [
        3,
        3,
    ]  # <start> and two words to hear, three words to write
    assert found.loss == pytest.approx(loss_by_hand(task, list(task._validation)), rel=1e-5)


def test_a_state_put_back_goes_on_alike(make_task: MakeTask) -> None:
    model = {"conditioning": "hard-attention", "dropout": 0.2}
    task, other = make_task(model=model), make_task(model=model)
    for _ in range(3):
        task.next_loss(0.0)
    kept = {f"task.{name}": tensor.clone() for name, tensor in task.state().items()}
    assert kept["task.position"].tolist() == [3]
    assert kept["task.baseline"].item() < 0
    other.model.load_state_dict(task.model.state_dict())
    other.set_state(kept)
    losses = []
    for each in (task, other):
        torch.manual_seed(6)
        losses.append([tensor.item() for _ in range(4) for tensor in each.next_loss(0.0)[:2]])
    assert losses[0] == losses[1]


def test_every_reference_is_drawn_and_each_batch_draws_anew(
    make_task: MakeTask, picture_set: PictureSet, scene_tokenizer: Tokenizer
) -> None:
    task, drawn = make_task(batch=9), []
    for _ in range(40):
        which, tokens = task._next_batch()
        texts = [caption_text(scene_tokenizer, ids) for ids in tokens.numpy()]
        drawn.append(
            [
                picture_set.captions[index].index(text)
                for index, text in zip(which, texts, strict=True)
            ]
        )
    assert len({tuple(places) for places in drawn}) == 40
    assert (
        np.bincount(np.ravel(drawn)).min() > 40
    )  # of 72 times that each of five places is expected
