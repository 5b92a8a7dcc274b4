"""What a captioner is trained to make small: the cross-entropy of a reference's words, smoothed,
with what its attention adds.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from edgernn.contract import Record
from edgernn.data.pictures.caption_ids import PAD_ID, START_ID, UNKNOWN_ID
from edgernn.models.captioner import Captioner, Forced

_BASELINE_MEMORY = 0.9


class CaptionOptions(Record):
    """What is particular to training a captioner; saved with the run.

    Attributes:
        word_dropout: share of the words fed that are replaced by <unk> (Bowman et al. 2016), so
            that the decoder looks at the picture rather than at which words go together; pairs of
            words that were never seen together profit.
        label_smoothing: share of a target's probability that is spread over the vocabulary (Szegedy
            et al. 2016).
        scheduled_sampling: share of the words fed that are the model's own, reached at the end of
            the run in a straight line from 0 (Bengio et al. 2015).
        attention_penalty: λ of ``λ mean_i (1 - Σ_t α_ti)²`` (Xu et al. 2015, equation 14).
        entropy_bonus, reinforce: of hard attention, λ_e and λ_r there.
        frozen: share of the run at its start in which the image encoder stays as it is; 1 never
            trains it.
        encoder_rate: by what the encoder's learning rate is multiplied.
        pretrained: whether the encoder's weights came from a file; its batch statistics stay as
            they were then.
    """

    word_dropout: float = Field(default=0.1, ge=0, lt=1)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    scheduled_sampling: float = Field(default=0.0, ge=0, le=1)
    attention_penalty: float = Field(default=0.0, ge=0)
    entropy_bonus: float = Field(default=2e-3, ge=0)
    reinforce: float = Field(default=1.0, ge=0)
    frozen: float = Field(default=0.0, ge=0, le=1)
    encoder_rate: float = Field(default=1.0, gt=0)
    pretrained: bool = False


class CaptionLoss(nn.Module):
    """The loss of one batch: what DistributedDataParallel wraps, so everything that has gradients
    is in ``forward``.
    """

    def __init__(self, model: Captioner, options: CaptionOptions) -> None:
        super().__init__()
        self.model, self.options = model, options
        self.register_buffer("baseline", torch.zeros(()))  # moving average of the reward

    def forward(self, image: Tensor, tokens: Tensor, own: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the objective, and the mean cross-entropy in nats per token.

        ``image [B, S, S, 3]`` uint8; ``tokens [B, T + 1]``, from <start> to <end>, then padded;
        ``own [B, T]`` marks the steps that are fed the model's own word.
        """
        contexts, state = self.model.encode(image)
        forced = self.model(contexts, state, self._fed(tokens[:, :-1]), own)
        targets = tokens[:, 1:]
        mask = (targets != PAD_ID).float()  # [B, T]
        logits = forced.logits.float().transpose(1, 2)  # [B, V, T]
        loss = nn.functional.cross_entropy(logits, targets, reduction="none")  # [B, T]
        smoothing = self.options.label_smoothing
        wanted = (
            loss
            if not smoothing
            else (1 - smoothing) * loss - smoothing * torch.log_softmax(logits, 1).mean(1)
        )
        objective = _mean(wanted, mask) + self._attention_terms(forced, loss.detach(), mask)
        return objective, _mean(loss, mask).detach()

    def _fed(self, tokens: Tensor) -> Tensor:
        """Return the words to feed, some of them dropped; <start> never is."""
        if not self.options.word_dropout:
            return tokens
        dropped = torch.rand(tokens.shape, device=tokens.device) < self.options.word_dropout
        return torch.where(
            dropped & (tokens != START_ID), torch.full_like(tokens, UNKNOWN_ID), tokens
        )

    def _attention_terms(self, forced: Forced, loss: Tensor, mask: Tensor) -> Tensor:
        """Return what attention adds to the objective: the penalty, and REINFORCE (Williams 1992)
        where regions are drawn.

        The reward of a region is the log-probability of the word written from it, less the moving
        average of all rewards.
        """
        if forced.attention is None:
            return loss.new_zeros(())
        attention = forced.attention.float()  # [B, T, R]
        looked = (attention * mask[:, :, None]).sum(1)  # [B, R]
        total = self.options.attention_penalty * (1 - looked).square().mean()
        if forced.drawn is None:
            return total
        advantage = -loss - self.get_buffer("baseline")
        entropy = -(attention * attention.clamp(min=1e-9).log()).sum(2)  # [B, T]
        reinforced = (
            self.options.reinforce * advantage * forced.drawn.float()
            + self.options.entropy_bonus * entropy
        )
        self.get_buffer("baseline").lerp_(-_mean(loss, mask), 1 - _BASELINE_MEMORY)
        return total - _mean(reinforced, mask)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.sum()
