"""What a painter learns from: the variational bound of DRAW (Gregor et al. 2015, section 2), given
the label. The network that infers the noise of a picture from the picture is trained beside it, and
is no part of what is exported.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from edgernn.contract import Record
from edgernn.families.painter import LABEL, NOISE, PICTURE
from edgernn.models.layered.network import Network
from edgernn.training.objective import LOSS, Batch, Objective, Sums, advance, begin
from edgernn.training.paint_network import CORE, PaintModel

IMAGE = "image"  # of an example, beside its label
_LEAST = 1e-6  # of a probability of a pixel
_MOST_SPREAD = 4.0  # of the logarithm of σ


class PaintOptions(Record):
    """What is particular to the loss; saved with the run.

    Attributes:
        steps: T, of a picture.
        inference: the width of the network that infers noise.
        divergence: β, the weight of the divergence (1 is the bound).
    """

    steps: int = Field(default=8, ge=1, le=256)
    inference: int = Field(default=128, ge=1, le=4096)
    divergence: float = Field(default=1.0, ge=0)


class PaintObjective(Objective):
    r"""An example is ``image [N, H, W, 1]``, uint8, with its ``label [N]``.

    At each step the noise is drawn from what is inferred, μ_t + σ_t ε_t::

        e_t = lstm([x, x - picture_{t-1}, h_{t-1}], e_{t-1})    μ_t, log σ_t = W e_t + b
        loss = -Σ log p(x | picture_T) + β Σ_t ½ Σ (μ_t² + σ_t² - 2 log σ_t - 1)

    in nats a picture, each pixel a share of white (Bernoulli). h is the painter's hidden state.
    """

    unit = "picture"

    def __init__(self, options: PaintOptions, model: PaintModel, *, pixels: int) -> None:
        super().__init__()
        self.options, self.width = options, model.noise
        self.reader = nn.LSTMCell(2 * pixels + model.width, options.inference)
        self.inferred = nn.Linear(options.inference, 2 * model.noise)

    def forward(self, network: Network, batch: Batch, share: float) -> tuple[Tensor, Tensor]:
        """See ``Objective.forward``."""
        missing, divergence = self._bound(network, batch)
        loss = (missing + divergence).mean()
        objective = (missing + self.options.divergence * divergence).mean()
        return objective, loss.detach()

    def measure(self, network: Network, batch: Batch) -> Sums:
        """See ``Objective.measure``: the bound, and its two parts."""
        missing, divergence = self._bound(network, batch)
        count = len(missing)
        parts = {LOSS: missing + divergence, "pixels": missing, "divergence": divergence}
        return {name: (float(values.sum()), count) for name, values in parts.items()}

    def last_losses(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
        """See ``Objective.last_losses``: of what the pixels of the last picture lack."""
        missing, _ = self._bound(network, batch)
        last = self.options.steps - 1
        return missing, torch.full((len(missing),), last, device=missing.device)

    def _bound(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what the pixels lack, and the divergence of the noise, nats ``[N]`` each."""
        image = batch[IMAGE][..., 0].float() / 255  # [N, H, W]
        flat, count = image.flatten(1), len(image)  # [N, P]
        contexts, state = begin(network, {LABEL: batch[LABEL]}, rows=count)
        error = flat
        inner: tuple[Tensor, Tensor] | None = None
        divergence = flat.new_zeros(count)
        outputs: dict[str, Tensor] = {}
        for _ in range(self.options.steps):
            seen = torch.cat((flat, error, network.latest(CORE, state)), 1)
            inner = self.reader(seen, inner)
            mean, spread = self.inferred(inner[0]).float().chunk(2, 1)  # [N, Z]
            spread = spread.clamp(-_MOST_SPREAD, _MOST_SPREAD)  # log σ
            noise = mean + spread.exp() * torch.randn_like(mean)
            outputs, state = advance(network, {NOISE: noise[:, None]}, contexts, state)
            error = flat - outputs[PICTURE].flatten(1).float()
            divergence = divergence + 0.5 * (
                mean.square() + (2 * spread).exp() - 2 * spread - 1
            ).sum(1)
        shown = outputs[PICTURE].flatten(1).float().clamp(_LEAST, 1 - _LEAST)
        missing = nn.functional.binary_cross_entropy(shown, flat, reduction="none").sum(1)
        return missing, divergence
