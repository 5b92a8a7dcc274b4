"""What attention adds to a captioner's loss: the penalty of Xu et al., and REINFORCE towards
regions that paid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from edgernn.models.captioner import Captioner, Forced
from edgernn.training.caption_objective import CaptionLoss, CaptionOptions

ROWS, STEPS, REGIONS = 2, 3, 4
MASK = torch.tensor([[1.0, 1, 1], [1, 1, 0]])


@pytest.fixture
def make_loss(make_captioner: Callable[..., Captioner]) -> Callable[..., CaptionLoss]:
    def make(**options: Any) -> CaptionLoss:
        plain = {"word_dropout": 0.0, "label_smoothing": 0.0, "entropy_bonus": 0.0}
        return CaptionLoss(
            make_captioner(conditioning="hard-attention"),
            CaptionOptions.model_validate({**plain, **options}),
        )

    return make


def energies() -> Tensor:
    return torch.randn(
        ROWS, STEPS, REGIONS, generator=torch.Generator().manual_seed(0)
    ).requires_grad_()


def forced(energy: Tensor, regions: Tensor | None = None) -> Forced:
    """What a pass gives that looked by ``energy`` and drew ``regions [B, T]``, none where it took
    the expectation.
    """
    attention = torch.softmax(energy, 2)
    drawn = None
    if regions is not None:
        chosen = attention.gather(2, regions.clamp(min=0)[..., None]).log()[..., 0]
        drawn = torch.where(regions < 0, torch.zeros_like(chosen), chosen)
    return Forced(torch.zeros(ROWS, STEPS, 5), attention, drawn)


def test_the_penalty_wants_every_region_to_be_looked_at_once(
    make_loss: Callable[..., CaptionLoss],
) -> None:
    energy = energies()
    term = make_loss(attention_penalty=0.7)._attention_terms(
        forced(energy), torch.ones(ROWS, STEPS), MASK
    )
    alpha, mask = torch.softmax(energy, 2).detach().numpy(), MASK.numpy()
    looked = np.einsum("btr,bt->br", alpha, mask)
    assert term.item() == pytest.approx(0.7 * np.square(1 - looked).mean(), rel=1e-5)
    even = torch.full((ROWS, REGIONS, REGIONS), -50.0).diagonal_scatter(
        torch.full((ROWS, REGIONS), 50.0), dim1=1, dim2=2
    )
    everywhere = Forced(torch.zeros(0), torch.softmax(even, 2), None)
    perfect = make_loss(attention_penalty=1.0)._attention_terms(
        everywhere, torch.ones(ROWS, REGIONS), torch.ones(ROWS, REGIONS)
    )
    assert perfect.item() == pytest.approx(0, abs=1e-6)


def test_without_attention_there_is_nothing_to_add(make_loss: Callable[..., CaptionLoss]) -> None:
    loss, nothing = make_loss(attention_penalty=1.0), Forced(torch.zeros(0), None, None)
    assert loss._attention_terms(nothing, torch.ones(ROWS, STEPS), MASK).item() == 0
    assert (
        make_loss()._attention_terms(forced(energies()), torch.ones(ROWS, STEPS), MASK).item() == 0
    )


def test_a_region_that_paid_is_looked_at_more_and_one_that_cost_less(
    make_loss: Callable[..., CaptionLoss],
) -> None:
    """Words well predicted in row 0 and badly in row 1: descent raises the drawn regions of the
    one, lowers the other's.
    """
    energy, regions = energies(), torch.tensor([[0, 1, 2], [3, 3, 3]])
    losses = torch.tensor([[0.1, 0.1, 0.1], [5.0, 5.0, 5.0]])
    loss = make_loss()
    loss.get_buffer("baseline").fill_(-2.0)
    loss._attention_terms(forced(energy, regions), losses, MASK).backward()
    assert energy.grad is not None
    direction = -energy.grad  # in which the objective falls
    for step in range(STEPS):
        drawn, others = (
            direction[0, step, regions[0, step]],
            direction[0, step].sum() - direction[0, step, regions[0, step]],
        )
        assert drawn > 0 > others
    assert (direction[1, :2, 3] < 0).all()
    assert not direction[1, 2].any()  # padding
    expected = torch.softmax(energy, 2).detach()
    one_hot = torch.nn.functional.one_hot(regions, REGIONS)
    advantage = -losses - -2.0
    by_hand = (advantage * MASK)[..., None] * (one_hot - expected) / MASK.sum()  # Williams 1992
    torch.testing.assert_close(direction, by_hand)


def test_where_nothing_was_drawn_nothing_is_reinforced(
    make_loss: Callable[..., CaptionLoss],
) -> None:
    energy, regions = energies(), torch.tensor([[-1, -1, -1], [3, -1, 3]])
    make_loss()._attention_terms(forced(energy, regions), torch.ones(ROWS, STEPS), MASK).backward()
    assert energy.grad is not None
    moved = energy.grad.abs().amax(2) > 0
    assert moved.tolist() == [[False, False, False], [True, False, False]]


@pytest.mark.parametrize("factor", [0.0, 1.0, 2.5])
def test_the_factor_of_reinforce(make_loss: Callable[..., CaptionLoss], factor: float) -> None:
    regions, losses = torch.tensor([[0, 1, 2], [3, 3, 3]]), torch.ones(ROWS, STEPS)
    one, other = (
        make_loss(reinforce=f)._attention_terms(forced(energies(), regions), losses, MASK).item()
        for f in (1.0, factor)
    )
    assert other == pytest.approx(factor * one, rel=1e-5)
    assert one != 0


def test_the_entropy_bonus_flattens_attention(make_loss: Callable[..., CaptionLoss]) -> None:
    energy = energies()
    regions = torch.full((ROWS, STEPS), -1)
    make_loss(entropy_bonus=0.3)._attention_terms(
        forced(energy, regions), torch.ones(ROWS, STEPS), MASK
    ).backward()
    assert energy.grad is not None
    flatter = energy.detach() - energy.grad
    entropies = [
        -(p * p.log()).sum(2)
        for p in (torch.softmax(energy.detach(), 2), torch.softmax(flatter, 2))
    ]
    assert (entropies[1] > entropies[0])[MASK.bool()].all()


def test_the_baseline_follows_the_rewards_slowly(make_loss: Callable[..., CaptionLoss]) -> None:
    loss, losses = make_loss(), torch.tensor([[1.0, 2, 3], [4, 5, 99]])
    regions = torch.tensor([[0, 1, 2], [3, 3, 3]])
    for _ in range(2):
        before = loss.get_buffer("baseline").item()
        loss._attention_terms(forced(energies(), regions), losses, MASK)
        assert loss.get_buffer("baseline").item() == pytest.approx(
            0.9 * before + 0.1 * -3.0
        )  # padding does not count


def test_hard_attention_learns_to_look_where_the_words_are(
    make_captioner: Callable[..., Captioner], pictures: np.ndarray, caption_ids: np.ndarray
) -> None:
    """A whole step of the loss gives attention's own weights a gradient, through the draws
    alone.
    """
    model = make_captioner(conditioning="hard-attention").train()
    options = CaptionOptions(
        word_dropout=0.0, label_smoothing=0.0, entropy_bonus=0.0, reinforce=1.0
    )
    image, tokens = torch.from_numpy(pictures.copy()), torch.from_numpy(caption_ids[:, 0].copy())
    gradients = []
    for reinforce in (1.0, 0.0):
        model.zero_grad()
        torch.manual_seed(2)
        loss = CaptionLoss(model, options.model_copy(update={"reinforce": reinforce}))
        loss(image, tokens, None)[0].backward()
        gradients.append(model.conditioning.get_parameter("energy.weight").grad.clone())  # type: ignore[union-attr]
    assert (gradients[0] - gradients[1]).abs().max() > 1e-4
