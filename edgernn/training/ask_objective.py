"""What a network that answers questions about pictures learns from: the cross-entropy of the answer
after the last word of each question.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from edgernn.contract import TOKENS, Record
from edgernn.data.examples import VALIDATION, ExampleSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.layered.network import Network
from edgernn.training.ask_network import ANSWER, PICTURE
from edgernn.training.objective import LOSS, Batch, Objective, Sums, advance, begin
from edgernn.training.text import entropy_of

LENGTHS, WANTED, UNSEEN = "lengths", "wanted", "unseen"  # arrays of the examples
NOTHING = -1  # where a picture has fewer questions than another
_MOST_ASKED = 12  # questions about one picture at a time in training
ACCURACY, UNSEEN_ACCURACY = "accuracy", "unseen_accuracy"


class AskOptions(Record):
    """What is particular to the loss; saved with the run.

    Attributes:
        word_dropout: share of the words that are replaced by <unk> in training.
        label_smoothing: share of an answer's probability that is spread over all.
    """

    word_dropout: float = Field(default=0.1, ge=0, lt=1)
    label_smoothing: float = Field(default=0.2, ge=0, lt=1)


class AskObjective(Objective):
    """An example is a picture ``image [N, S, S, 3]`` with up to Q questions: ``tokens [N, Q, T]``,
    ``lengths [N, Q]``, and ``wanted [N, Q]``, the place of the answer among the answers.

    The picture is encoded once for all that is asked about it.
    """

    unit, best = "picture", ACCURACY

    def __init__(
        self, options: AskOptions, examples: ExampleSet, tokenizer: Tokenizer, answers: list[str]
    ) -> None:
        super().__init__()
        self.options, self.tokenizer, self.answers = options, tokenizer, answers
        self.parted = bool(np.any(examples.parts[VALIDATION][UNSEEN]))

    def forward(self, network: Network, batch: Batch, share: float) -> tuple[Tensor, Tensor]:
        """See ``Objective.forward``; the loss is in nats a question."""
        asked = _some(batch[WANTED])
        scores, wanted = self._scores(network, batch, asked, dropout=self.options.word_dropout)
        loss = nn.functional.cross_entropy(scores, wanted)
        smoothed = nn.functional.cross_entropy(
            scores, wanted, label_smoothing=self.options.label_smoothing
        )
        return smoothed, loss

    def measure(self, network: Network, batch: Batch) -> Sums:
        """See ``Objective.measure``: of the pictures of ``unseen`` combinations apart."""
        asked = batch[WANTED] != NOTHING
        scores, wanted = self._scores(network, batch, asked)
        right = (scores.argmax(1) == wanted).float()
        unseen = batch[UNSEEN].bool()[asked.nonzero()[:, 0]]  # [K]
        lost = nn.functional.cross_entropy(scores, wanted, reduction="none")
        made = {name: _sum(values, ~unseen) for name, values in ((LOSS, lost), (ACCURACY, right))}
        return {**made, UNSEEN_ACCURACY: _sum(right, unseen)} if self.parted else made

    def last_losses(self, network: Network, batch: Batch) -> tuple[Tensor, Tensor]:
        """See ``Objective.last_losses``: of the answer, after the last word of each question."""
        asked = batch[WANTED] != NOTHING
        scores, wanted = self._scores(network, batch, asked)
        losses = nn.functional.cross_entropy(scores, wanted, reduction="none")
        return losses, batch[LENGTHS][asked] - 1

    def chance(self, examples: ExampleSet) -> float:
        """See ``Objective.chance``."""
        wanted = np.asarray(examples.parts[VALIDATION][WANTED])
        return entropy_of(wanted[wanted != NOTHING])

    def sample(self, network: Network, examples: ExampleSet) -> str:
        """See ``Objective.sample``: the first question of the validation part, answered."""
        batch = {
            name: torch.from_numpy(array).to(next(network.parameters()).device)
            for name, array in examples.batch(VALIDATION, slice(0, 1)).items()
        }
        scores, _ = self._scores(network, batch, batch[WANTED] != NOTHING)
        words = batch[TOKENS][0, 0, : int(batch[LENGTHS][0, 0])].tolist()
        return f"{self.tokenizer.decode(words)}? {self.answers[int(scores[0].argmax())]}"

    def _scores(
        self, network: Network, batch: Batch, asked: Tensor, *, dropout: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Return the scores ``[K, A]`` after the last word of each of the K questions that
        ``asked [N, Q]`` marks, and their answers ``[K]``.
        """
        owner, place = asked.nonzero(as_tuple=True)
        lengths = batch[LENGTHS][owner, place]
        tokens = batch[TOKENS][owner, place, : int(lengths.max())]  # [K, T]
        if dropout and self.tokenizer.unknown_id is not None:
            lost = torch.rand(tokens.shape, device=tokens.device) < dropout
            tokens = torch.where(lost, self.tokenizer.unknown_id, tokens)
        contexts, state = begin(network, {PICTURE: batch[PICTURE]}, rows=len(owner))
        own = {name: context[owner] for name, context in contexts.items()}
        outputs, _ = advance(network, {TOKENS: tokens}, own, state)
        rows = torch.arange(len(owner), device=tokens.device)
        scores: Tensor = outputs[ANSWER][rows, lengths - 1].float()
        return scores, batch[WANTED][owner, place]


def _some(wanted: Tensor) -> Tensor:
    """Return which of the questions ``wanted [N, Q]`` are asked: all of a picture, or as many as
    are asked at a time, drawn at random.
    """
    asked = wanted != NOTHING
    if wanted.shape[1] <= _MOST_ASKED:
        return asked
    order = torch.where(asked, torch.rand(wanted.shape, device=wanted.device), 2.0)
    last = order.kthvalue(_MOST_ASKED, 1, keepdim=True).values
    return asked & (order <= last)


def _sum(values: Tensor, which: Tensor) -> tuple[float, float]:
    return float(values[which].sum()), float(which.sum())
