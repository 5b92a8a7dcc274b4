"""What a text loses, against plain formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgernn.contract import FileContract, Narrowing
from edgernn.errors import ContractError
from edgernn.models.language import LanguageModel
from edgernn.parity.text_loss import log_probabilities, measure_text
from edgernn.sessions.eager import EagerSession
from edgernn.sessions.fake import FakeSession

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
    assert loss.reference_perplexity == pytest.approx(torch.exp(-p.gather(1, wanted).mean()).item(), rel=1e-5)
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
    narrow = FakeSession(FileContract(contract=contract, narrowing=Narrowing(axes={"batch": 1, "time": 1})))
    wide = FakeSession(FileContract(contract=contract))
    assert np.allclose(log_probabilities(narrow, TOKENS[:30]), log_probabilities(wide, TOKENS[:30]))
    assert narrow.calls == 30
    assert wide.calls == 1


def test_log_probabilities_sum_to_one(model: LanguageModel) -> None:
    assert np.allclose(np.exp(log_probabilities(EagerSession(model), TOKENS)).sum(1), 1)


def test_what_is_not_finite_is_refused(model: LanguageModel, make_model: Callable[..., LanguageModel]) -> None:
    broken = make_model()
    with torch.no_grad():
        broken.head.bias[2] = float("nan")
    with pytest.raises(ContractError, match="the artifact predicts numbers that are not finite"):
        measure_text(EagerSession(model), EagerSession(broken), TOKENS)
    with pytest.raises(ContractError, match="the reference predicts numbers that are not finite"):
        measure_text(EagerSession(broken), EagerSession(model), TOKENS)
