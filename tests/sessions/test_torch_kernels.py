"""Torch's own kernels: a small step runs on one thread, and what was set before is put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.sessions.torch_kernels import plain_kernels, work_of


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("work", "threads"), [(None, 2), (1000, 1), (1 << 31, 2)])
def test_little_work_takes_one_thread(work: int | None, threads: int) -> None:
    with plain_kernels(work):
        assert torch.get_num_threads() == threads
        assert torch.is_inference_mode_enabled()
    assert torch.get_num_threads() == 2


def test_what_was_set_is_put_back_after_an_error() -> None:
    before = torch.backends.mkldnn.enabled  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="size"), plain_kernels(1):
        torch.zeros(2) + torch.zeros(3)
    assert (torch.get_num_threads(), torch.backends.mkldnn.enabled) == (2, before)  # type: ignore[attr-defined]


def test_work_grows_with_rows_and_steps(
    make_model: Callable[..., LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, seen = make_model(), []
    session = EagerSession(model)
    forward = model.graph
    monkeypatch.setattr(
        model, "graph", lambda *given: (seen.append(torch.get_num_threads()), forward(*given))[1]
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    for rows, steps in ((1, 1), (3, 5)):
        feeds = {"tokens": np.zeros((rows, steps), np.int64), **session.initial_state(rows)}
        assert work_of(session.spec, feeds, parameters=parameters) == parameters * rows * steps
        session.step({"tokens": feeds["tokens"]}, session.initial_state(rows))
    assert seen == [1, 1]
