"""The language model as a task."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.data.text.corpus import Corpus
from edgernn.data.text.source import open_source
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import UsageError
from edgernn.models import checkpoint
from edgernn.models.language import LanguageModel, start_tokens
from edgernn.training.distributed import World
from edgernn.training.lanes import Lanes
from edgernn.training.task import Evaluation
from edgernn.training.text import TextTask

TEXT = "the quick brown fox jumps over the lazy dog.\nTHE END\n" * 40


def _task(model: LanguageModel, tokenizer: Tokenizer, folder: Path, **options: object) -> TextTask:
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    with open_source(str(folder / "text.txt")) as source:
        corpus = Corpus.encode(source, tokenizer, folder / "corpus")
    settings: dict = {
        "world": World(),
        "batch": 4,
        "chunk": 8,
        "mixed": False,
        "folder": folder,
        "about": {},
        **options,
    }
    return TextTask(model, corpus, tokenizer=tokenizer, **settings)


def test_evaluation_is_the_mean_over_the_validation_part(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model()
    task = _task(model, tokenizer, tmp_path)
    ids = torch.from_numpy(np.asarray(task._corpus.validation, np.int64))[None]
    with torch.no_grad():
        logits, _ = model(ids[:, :-1], model.initial_state(1))
    expected = nn.functional.cross_entropy(logits[0], ids[0, 1:]).item()
    found = task.evaluate()
    assert found.loss == pytest.approx(expected, abs=1e-5)
    assert (found.criterion, found.measured) == (found.loss, {})
    assert task.split == "last 10 % of text.txt"


def test_evaluation_of_many_words_goes_in_shorter_parts(
    make_model: Callable[..., LanguageModel],
    tokenizer: Tokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = _task(make_model(), tokenizer, tmp_path)
    whole, calls, forward = task.evaluate().loss, list[int](), task.model.forward
    monkeypatch.setattr("edgernn.training.task._MOST_LOGITS", 7 * tokenizer.vocabulary_size)
    monkeypatch.setattr(
        task.model,
        "forward",
        lambda ids, state: (calls.append(ids.numel()), forward(ids, state))[1],
    )
    assert task.evaluate().loss == pytest.approx(whole)
    assert max(calls) <= 7
    assert sum(calls) == len(task._corpus.validation) - 1


def test_the_state_is_carried_and_begins_anew_in_one_row_a_step(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model()
    task = _task(model, tokenizer, tmp_path)
    lanes = Lanes(task._corpus.train, batch=4, chunk=8, rows=range(4))
    state = model.initial_state(4)
    for step in range(6):
        inputs, targets, _ = lanes.next()
        fresh = torch.arange(4) == step % 4
        state = tuple(torch.where(fresh[None, :, None], torch.zeros_like(s), s) for s in state)
        with torch.no_grad():
            logits, state = model(torch.from_numpy(inputs.copy()), state)
        expected = nn.functional.cross_entropy(
            logits.flatten(0, 1), torch.from_numpy(targets.flatten())
        )
        _, loss, tokens = task.next_loss(0.0)
        assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
        assert tokens == 32
        assert all(not tensor.requires_grad for tensor in task._state)


def test_states_beyond_their_bound_are_pushed_back(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    task = _task(make_model(), tokenizer, tmp_path)
    objective, loss, _ = task.next_loss(0.0)
    assert objective.item() == loss.item()
    task._state = tuple(torch.full_like(tensor, 40.0) for tensor in task._state)
    objective, loss, _ = task.next_loss(0.0)
    after = torch.cat([tensor.abs().flatten() for tensor in task._state])
    assert objective.item() - loss.item() == pytest.approx(
        1e-2 * (after - 3).clamp(min=0).square().mean().item(), rel=1e-4
    )
    assert objective.item() > loss.item()


def test_without_the_penalty_states_may_grow(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    task = _task(make_model(), tokenizer, tmp_path, state_penalty=0.0)
    task._state = tuple(torch.full_like(tensor, 40.0) for tensor in task._state)
    objective, loss, _ = task.next_loss(0.0)
    assert objective.item() == loss.item()


def test_a_learned_first_state_has_a_gradient_at_every_step(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(learned_initial_state=True)
    task = _task(model, tokenizer, tmp_path)
    for _ in range(3):
        model.zero_grad()
        task.next_loss(0.0)[0].backward()
        assert all(
            p.grad is not None and p.grad.abs().sum() > 0 for p in model.first_state.values()
        )


def test_state_put_back_goes_on_alike(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    task = _task(make_model(), tokenizer, tmp_path)
    for _ in range(5):
        task.next_loss(0.0)
    kept = {f"task.{name}": tensor.clone() for name, tensor in task.state().items()}
    expected = [task.next_loss(0.0)[1].item() for _ in range(5)]
    task.set_state(kept)
    assert [task.next_loss(0.0)[1].item() for _ in range(5)] == expected


def test_a_batch_must_be_shared_evenly(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    with pytest.raises(
        UsageError, match="a batch of 4 rows cannot be shared evenly by 3 processes"
    ):
        _task(make_model(), tokenizer, tmp_path, world=World(0, 3))


def test_save_best_leaves_a_checkpoint_that_says_how_good_it_is(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    task = _task(make_model(), tokenizer, tmp_path, about={"corpus": "text.txt"})
    tokenizer.save(tmp_path / checkpoint.TOKENIZER)
    task.save_best(step=7, found=Evaluation(1.25, 1.25))
    training = checkpoint.load(tmp_path).training
    split = "last 10 % of text.txt"
    assert training == {
        "corpus": "text.txt",
        "split": split,
        "step": 7,
        "epochs": 0.0,
        "validation_loss": 1.25,
    }


def test_the_sample_is_text_and_start_tokens_are_known(
    make_model: Callable[..., LanguageModel], tokenizer: Tokenizer, tmp_path: Path
) -> None:
    assert len(_task(make_model(), tokenizer, tmp_path).sample()) == 160
    assert tokenizer.decode(start_tokens(tokenizer)) == "\n"
    assert start_tokens(Tokenizer.build(["abc"], "char")).tolist() == [0]
    assert math.isfinite(start_tokens(Tokenizer.build(["a b a b"], "word"))[0])
