"""What a translator learns from: the cross-entropy of each next character of a target, the true
ones before it fed (teacher forcing); measured by what it writes alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgernn.contract import TOKENS
from edgernn.data.examples import VALIDATION, ExampleSet
from edgernn.data.pairs.pair_ids import END_ID, PAD_ID, START_ID
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.layered.network import Network
from edgernn.models.translator import SOURCE
from edgernn.training.objective import LOSS, Batch, Objective, Sums, advance, begin
from edgernn.training.translate_examples import TARGET

EXACT = "exact"  # the share of texts that are written as the target is, to the last character


class TranslateObjective(Objective):
    """The batch holds ``source [N, S]``, 0 after the end of each, and ``target [N, T]``, from
    start to end, then 0.

    ``encode`` reads a source once, and all steps over a target are one call: no step feeds back
    what attention found, so that is what one step after another gives.

    Args:
        tokenizer: of both sides.
        length: the most characters that are written.
        smoothing: the share of a character that is spread over all, in training.
    """

    unit, best = "pair", EXACT

    def __init__(self, tokenizer: Tokenizer, *, length: int, smoothing: float = 0.0) -> None:
        super().__init__()
        self.tokenizer, self.length, self.smoothing = tokenizer, length, smoothing

    def forward(self, network: Network, batch: Batch, share: float) -> tuple[Tensor, Tensor]:
        """See ``Objective.forward``; what is minimised is in nats a character."""
        logits, wanted = self._forced(network, batch)
        objective = nn.functional.cross_entropy(
            logits, wanted, ignore_index=PAD_ID, label_smoothing=self.smoothing
        )
        return objective, _nats(logits.detach(), wanted) / len(wanted)

    def measure(self, network: Network, batch: Batch) -> Sums:
        """See ``Objective.measure``: greedy translations, each character fed back."""
        logits, wanted = self._forced(network, batch)
        written, rows = self._written(network, batch[SOURCE]), len(wanted)
        width = max(written.shape[1], wanted.shape[1])
        pair = [nn.functional.pad(ids, (0, width - ids.shape[1])) for ids in (written, wanted)]
        exact = (pair[0] == pair[1]).all(1).sum().item()
        return {LOSS: (_nats(logits, wanted).item(), rows), EXACT: (exact, rows)}

    def last_losses(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
        """See ``Objective.last_losses``: of the end of each target."""
        logits, wanted = self._forced(network, batch)
        last = (wanted != PAD_ID).sum(1) - 1  # [N]
        losses = nn.functional.cross_entropy(logits, wanted, reduction="none")  # [N, T - 1]
        return losses.gather(1, last[:, None])[:, 0], last

    def sample(self, network: Network, examples: ExampleSet) -> str:
        """See ``Objective.sample``: the first validation source and what is written of it."""
        device = next(network.parameters()).device
        source = torch.from_numpy(examples.batch(VALIDATION, slice(0, 1))[SOURCE]).to(device)
        texts = (source[0], self._written(network, source)[0])
        read, written = (self.tokenizer.decode(ids[ids > END_ID].cpu().numpy()) for ids in texts)
        return f"{read} → {written}"

    def _forced(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the logits ``[N, V, T - 1]`` of each next character, and these ``[N, T - 1]``."""
        target = batch[TARGET]
        contexts, state = begin(network, {SOURCE: batch[SOURCE]}, len(target))
        outputs, _ = advance(network, {TOKENS: target[:, :-1]}, contexts, state)
        scores = network.config.contract().step.text_scores.name
        return outputs[scores].float().transpose(1, 2), target[:, 1:]

    def _written(self, network: Network, source: Tensor) -> Tensor:
        """Return the greedy translations ``[N, T]`` up to the end, then 0."""
        scores = network.config.contract().step.text_scores.name
        contexts, state = begin(network, {SOURCE: source}, len(source))
        token = torch.full((len(source), 1), START_ID, device=source.device)
        going, made = torch.ones_like(token, dtype=torch.bool), list[Tensor]()
        for _ in range(self.length + 1):
            outputs, state = advance(network, {TOKENS: token}, contexts, state)
            logits = outputs[scores].clone()
            logits[..., [PAD_ID, START_ID]] = -torch.inf
            token = torch.where(going, logits.argmax(-1), PAD_ID)  # [N, 1]
            made.append(token)
            going = going & (token != END_ID)
            if not going.any():
                break
        return torch.cat(made, 1)


def _nats(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the nats of all characters that are no padding."""
    return nn.functional.cross_entropy(logits, wanted, ignore_index=PAD_ID, reduction="sum")
