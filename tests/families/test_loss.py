"""What a text and what captions lose, against plain formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgernn.contract import FileContract, Narrowing
from edgernn.errors import ContractError
from edgernn.families.caption_loss import caption_logits, measure_captions
from edgernn.families.language import measure_text, text_logits
from edgernn.models.captioner import Captioner
from edgernn.models.conditioning import CONDITIONINGS
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.sessions.fake import FakeSession
from edgernn.sessions.model import Model

TOKENS = np.random.default_rng(0).integers(0, 20, 150)


@pytest.fixture(scope="module")
def model(make_model: Callable[..., LanguageModel]) -> LanguageModel:
    return make_model()


def test_a_session_against_itself_loses_nothing(model: LanguageModel) -> None:
    loss = measure_text(EagerSession(model), EagerSession(model), TOKENS)
    assert loss.tokens == 149
    assert loss.perplexity_change == loss.mean_kl == loss.worst_kl == 0
    assert loss.top1 == loss.top5 == 1


def test_perplexity_and_divergence_are_what_the_formulas_say(
    model: LanguageModel, make_model: Callable[..., LanguageModel]
) -> None:
    other = make_model(hidden=12)
    logs = []
    for each in (model, other):
        with torch.no_grad():
            logits, _ = each(torch.from_numpy(TOKENS[None, :-1]), each.initial_state(1))
        logs.append(torch.log_softmax(logits[0].double(), -1))
    p, q = logs
    divergence = torch.nn.functional.kl_div(q, p, log_target=True, reduction="none").sum(-1)
    loss = measure_text(EagerSession(model), EagerSession(other), TOKENS)
    wanted = torch.from_numpy(TOKENS[1:, None])
    assert loss.reference_perplexity == pytest.approx(
        torch.exp(-p.gather(1, wanted).mean()).item(), rel=1e-5
    )
    assert loss.perplexity == pytest.approx(torch.exp(-q.gather(1, wanted).mean()).item(), rel=1e-5)
    assert loss.mean_kl == pytest.approx(divergence.mean().item(), rel=1e-4)
    assert loss.worst_kl == pytest.approx(divergence.max().item(), rel=1e-4)
    assert loss.top1 == pytest.approx((p.argmax(1) == q.argmax(1)).double().mean().item())
    assert loss.perplexity_change == pytest.approx(loss.perplexity / loss.reference_perplexity - 1)
    assert 0 < loss.top5 < 1


def test_the_limit_bounds_what_is_read(model: LanguageModel) -> None:
    assert measure_text(EagerSession(model), EagerSession(model), TOKENS, limit=40).tokens == 40


def test_a_narrow_file_is_read_step_by_step(model: LanguageModel) -> None:
    contract = model.config.contract()
    narrow = FakeSession(
        FileContract(contract=contract, narrowing=Narrowing(axes={"batch": 1, "time": 1}))
    )
    wide = FakeSession(FileContract(contract=contract))
    for one, other in zip(
        *(text_logits(session, TOKENS[:30], rows=20) for session in (narrow, wide)), strict=True
    ):
        np.testing.assert_allclose(one, other)
    assert narrow.calls == 30
    assert wide.calls == 2


def test_what_is_not_finite_is_refused(
    model: LanguageModel, make_model: Callable[..., LanguageModel]
) -> None:
    broken = make_model()
    with torch.no_grad():
        broken.head.bias[2] = float("nan")
    with pytest.raises(ContractError, match="the artifact predicts numbers that are not finite"):
        measure_text(EagerSession(model), EagerSession(broken), TOKENS)
    with pytest.raises(ContractError, match="the reference predicts numbers that are not finite"):
        measure_text(EagerSession(broken), EagerSession(model), TOKENS)


def sessions_of(model: Captioner, *, batch: int | None = None) -> Model:
    contract = model.config.contract()
    narrowing = Narrowing(axes={} if batch is None else {"batch": batch})
    encode, step = (
        EagerSession(model, FileContract(contract=contract, graph=graph.name, narrowing=narrowing))
        for graph in contract.graphs
    )
    return Model(step, encode)


def by_hand(
    model: Captioner, pictures: np.ndarray, captions: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """The log-probabilities of every next word up to each caption's end, ``[M, V]``, and the words,
    ``[M]``.
    """
    ids = torch.from_numpy(captions.copy())
    with torch.no_grad():
        logits = model(*model.encode(torch.from_numpy(pictures.copy())), ids[:, :-1]).logits
    said = ids[:, 1:] != 0
    return torch.log_softmax(logits[said].double(), -1), ids[:, 1:][said]


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_what_captions_lose_is_what_the_formulas_say(
    make_captioner: Callable[..., Captioner],
    pictures: np.ndarray,
    caption_ids: np.ndarray,
    conditioning: str,
) -> None:
    one, other = (make_captioner(conditioning=conditioning, seed=seed) for seed in (3, 4))
    captions = caption_ids[:, 0]
    (p, wanted), (q, _) = (by_hand(model, pictures, captions) for model in (one, other))
    loss = measure_captions(sessions_of(one), sessions_of(other), pictures, captions)
    divergence = (p.exp() * (p - q)).sum(1)
    assert loss.tokens == len(wanted) < captions[:, 1:].size  # padding is not read
    assert loss.reference_perplexity == pytest.approx(
        torch.exp(-p.gather(1, wanted[:, None]).mean()).item(), rel=1e-5
    )
    assert loss.perplexity == pytest.approx(
        torch.exp(-q.gather(1, wanted[:, None]).mean()).item(), rel=1e-5
    )
    assert loss.mean_kl == pytest.approx(divergence.mean().item(), rel=1e-4)
    assert loss.worst_kl == pytest.approx(divergence.max().item(), rel=1e-4)
    assert loss.top1 == pytest.approx((p.argmax(1) == q.argmax(1)).double().mean().item())


def test_captions_of_a_session_against_itself_lose_nothing(
    make_captioner: Callable[..., Captioner], pictures: np.ndarray, caption_ids: np.ndarray
) -> None:
    model = make_captioner()
    narrow, wide = sessions_of(model, batch=1), sessions_of(model)
    loss = measure_captions(wide, wide, pictures, caption_ids[:, 1])
    assert loss.perplexity_change == loss.mean_kl == 0
    assert loss.top1 == loss.top5 == 1
    one_by_one, together = (
        np.concatenate(list(caption_logits(sessions, pictures, caption_ids[:, 1], rows=1)))
        for sessions in (narrow, wide)
    )
    np.testing.assert_allclose(one_by_one, together, atol=1e-5)


def test_only_pictures_with_a_caption_are_read_and_no_more_than_the_limit(
    make_captioner: Callable[..., Captioner], pictures: np.ndarray, caption_ids: np.ndarray
) -> None:
    sessions, captions = sessions_of(make_captioner()), caption_ids[:, 0].copy()
    steps = captions.shape[1] - 1
    few = measure_captions(sessions, sessions, pictures, captions, limit=2 * steps)
    assert few.tokens == (captions[:2, 1:] != 0).sum()
    captions[0] = 0
    without = measure_captions(sessions, sessions, pictures, captions, limit=2 * steps)
    assert without.tokens == (captions[1:3, 1:] != 0).sum()
    for empty in (0 * captions, captions[:, :1]):
        with pytest.raises(
            ContractError,
            match="the held-out sample has no caption to predict; export the bundle again",
        ):
            measure_captions(sessions, sessions, pictures, empty)
