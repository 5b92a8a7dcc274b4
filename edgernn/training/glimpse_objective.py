"""What a network of glimpses learns from: the cross-entropy of the label, and for the places of its
looks REINFORCE with a learned baseline (Williams 1992; Mnih et al. 2014, section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from edgernn.contract import Record
from edgernn.data.examples import VALIDATION, ExampleSet
from edgernn.families.examples import TARGET
from edgernn.families.glimpses import IMAGE, LOCATION, LOGITS, NOISE
from edgernn.models.layered.network import Network
from edgernn.training.glimpse_network import CORE
from edgernn.training.objective import LOSS, Batch, Objective, Sums, advance, begin
from edgernn.training.text import entropy_of

ACCURACY, RANDOM_ACCURACY = "accuracy", "one_random_look"
_BASELINE_WEIGHT, _LEAST_SPREAD, _SEED = 0.5, 1e-3, 7


class GlimpseOptions(Record):
    """What is particular to the loss; saved with the run.

    Attributes:
        looks: T, at each picture.
        spread, last_spread: σ, the standard deviation of where a look goes around its mean, in
            halves of the picture: at the beginning of a run and, after a straight line, at its end.
        weight: of the term that chooses places. Only the layer that gives them learns from that
            term alone, at a rate that does not depend on the weight; a small one leaves the layers
            before it to the label.
    """

    looks: int = Field(default=6, ge=1, le=64)
    spread: float = Field(default=0.4, gt=0, le=1)
    last_spread: float = Field(default=0.1, gt=0, le=1)
    weight: float = Field(default=0.05, ge=0)


@dataclass(frozen=True, eq=False)
class _Look:
    """One look at every picture of a batch: the scores ``[B, C]``, the mean of its place ``[B, 2]``
    and what was added to it, and the hidden state after, ``[B, H]``.
    """

    scores: Tensor
    mean: Tensor
    noise: Tensor
    hidden: Tensor


class GlimpseObjective(Objective):
    r"""An example is ``image [N, H, W, 1]`` with its ``target [N]``.

    The places are drawn, l_t = m_{t-1} + σ ε_t, and no gradient goes through a crop to its place;
    m_{t-1} learns from how probable the label is at the looks from t on, less what a linear layer
    of the state expects of them::

        loss = mean_t CE_t - weight · mean_t A_t log N(l_t; m_{t-1}, σ²) + ½ mean_t (R_t - b_t)²
        R_t = mean_{s ≥ t} p_s(label)    b_t = w · h_{t-1}    A_t = (R_t - b_t) / std(R_t - b_t)

    A_t is a constant to the gradient. The first look, at the middle, has nothing to choose.
    """

    unit, best = "picture", ACCURACY

    def __init__(self, options: GlimpseOptions, *, hidden: int) -> None:
        super().__init__()
        self.options = options
        self.baseline = nn.Linear(hidden, 1)

    def forward(self, network: Network, batch: Batch, share: float) -> tuple[Tensor, Tensor]:
        """See ``Objective.forward``."""
        target, options = batch[TARGET], self.options
        spread = options.spread + share * (options.last_spread - options.spread)
        noise = spread * torch.randn((options.looks, len(target), 1, 2), device=target.device)
        looks = list(_looks(network, batch[IMAGE], noise))
        labelled = looks[1:] or looks
        loss = torch.stack(
            [nn.functional.cross_entropy(look.scores.float(), target) for look in labelled]
        ).mean()
        objective = loss
        for place in range(1, len(looks)):
            objective = objective + self._chosen(looks, place, target, spread) / (len(looks) - 1)
        last = nn.functional.cross_entropy(looks[-1].scores.detach().float(), target)
        return objective, last

    def _chosen(self, looks: list[_Look], place: int, target: Tensor, spread: float) -> Tensor:
        """Return the loss of where the look ``place`` goes, and of what was expected of it."""
        with torch.no_grad():
            right = [
                look.scores.float().softmax(1).gather(1, target[:, None])[:, 0]
                for look in looks[place:]
            ]
            reward = torch.stack(right).mean(0)  # [B]
        hidden = looks[place - 1].hidden.detach().float()
        expected: Tensor = self.baseline(hidden)[:, 0]  # [B]
        better = (reward - expected).detach()
        advantage = better / (better.std(correction=0) + _LEAST_SPREAD)
        look = looks[place]
        away = (look.mean + look.noise).detach() - look.mean  # [B, 2]
        likelihood = -away.square().sum(1) / (2 * spread * spread)  # log, but for a constant
        chosen = -self.options.weight * (advantage * likelihood).mean()
        return chosen + _BASELINE_WEIGHT * (reward - expected).square().mean()

    def measure(self, network: Network, batch: Batch) -> Sums:
        """See ``Objective.measure``: of the last look of T where the network looks at the mean,
        and of one look at a random place.
        """
        target, count = batch[TARGET], len(batch[TARGET])
        still = torch.zeros((self.options.looks, count, 1, 2), device=target.device)
        *_, last = _looks(network, batch[IMAGE], still)
        loss = nn.functional.cross_entropy(last.scores, target, reduction="sum").item()
        drawn = np.random.default_rng(_SEED).uniform(-1, 1, (1, count, 1, 2)).astype(np.float32)
        (random,) = _looks(network, batch[IMAGE], torch.from_numpy(drawn).to(target.device))
        right = {
            name: (float((look.scores.argmax(1) == target).sum()), count)
            for name, look in ((ACCURACY, last), (RANDOM_ACCURACY, random))
        }
        return {LOSS: (loss, count), **right}

    def last_losses(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
        """See ``Objective.last_losses``: of the label at the last look, where the network looks at
        the mean.
        """
        target = batch[TARGET]
        still = torch.zeros((self.options.looks, len(target), 1, 2), device=target.device)
        *_, last = _looks(network, batch[IMAGE], still)
        losses = nn.functional.cross_entropy(last.scores, target, reduction="none")
        return losses, torch.full_like(target, self.options.looks - 1)

    def chance(self, examples: ExampleSet) -> float:
        """See ``Objective.chance``."""
        return entropy_of(np.asarray(examples.parts[VALIDATION][TARGET]))

    def sample(self, network: Network, examples: ExampleSet) -> str:
        """See ``Objective.sample``: where it looks at the first validation picture."""
        device = next(network.parameters()).device
        image = torch.from_numpy(examples.batch(VALIDATION, slice(0, 1))[IMAGE]).to(device)
        still = torch.zeros((self.options.looks, 1, 1, 2), device=device)
        looks = list(_looks(network, image, still))
        labels = next(iter(network.config.labels.values()))
        path = " ".join(f"({y:+.2f}, {x:+.2f})" for y, x in (look.mean[0] for look in looks))
        return f"{labels[int(looks[-1].scores[0].argmax())]} after looks at {path}"


def _looks(network: Network, image: Tensor, noise: Tensor) -> Iterator[_Look]:
    """Look at the pictures ``image [B, H, W, 1]`` as often as ``noise [T, B, 1, 2]`` has rows; no
    gradient goes through a crop to its place.
    """
    contexts, state = begin(network, {IMAGE: image}, rows=len(image))
    names = [spec.name for spec in network.config.contract().step.states]
    place = names.index(LOCATION)
    for added in noise:
        mean = state[place]
        given = tuple(s.detach() if at == place else s for at, s in enumerate(state))
        outputs, state = advance(network, {NOISE: added}, contexts, given)
        yield _Look(outputs[LOGITS][:, 0], mean, added[:, 0], network.latest(CORE, state))
