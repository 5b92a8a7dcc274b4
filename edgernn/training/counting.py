"""A language model that is to count, as a task of the loop: every step sees every line.

A row is one whole line of aⁿbⁿ or aⁿbⁿcⁿ, n from 1 to ``LONGEST``, read from the first state on;
so no step is cut where only the count would tell what follows. Validation asks for the tokens that
what stands before them decides, of the lines with n up to ``VALIDATED``: the best weights are those
that have most of these lines right, of equal ones the least loss; longer lines have no part in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.data.text import counting
from edgernn.data.text.corpus import Corpus
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models.cells.base import GatedCell
from edgernn.models.compact import CompactStack
from edgernn.models.language import LanguageModel
from edgernn.training.task import Evaluation, GoOn, always
from edgernn.training.text import TextTask, entropy_of
from edgernn.training.text_loss import run

VALIDATED = 2 * counting.LONGEST  # n of the longest line of the validation
_IGNORED = -100  # a target that is not counted
RIGHT = "lines_right"  # the share of lines of which every decided token is the most probable one
_TIE_BREAK = 1e-6  # of the loss: far below what one line changes
_OPEN = 5.0  # σ(5) = 0.993
_RECURRENT = 0.1  # of the weights that a cell is made with


class CountingTask(TextTask):
    """``TextTask`` on whole lines.

    Args:
        model: of gated cells. Of those with two states the second gate of their rows keeps the
            second, as the LSTM's f; it begins open, with a bias of 5, for what fades cannot count
            (Jozefowicz et al. 2015; Tallec & Ollivier 2018); see ``begin_counting``.
        letters: of the lines.
        tokenizer: knows them and the newline.
        corpus, told: the others of ``TextTask``; of ``batch`` and ``chunk`` nothing is read.
    """

    def __init__(
        self,
        model: LanguageModel,
        corpus: Corpus,
        *,
        letters: str,
        tokenizer: Tokenizer,
        **told: Any,
    ) -> None:
        begin_counting(model)
        super().__init__(model, corpus, tokenizer=tokenizer, **told)
        seen = range(1, counting.LONGEST + 1)
        asked = range(1, VALIDATED + 1)
        self._seen = self._on_device(lines(tokenizer, letters, seen))
        self._asked = self._on_device(lines(tokenizer, letters, asked, decided=True))

    @property
    def split(self) -> str:
        """See ``Task.split``."""
        return f"decided tokens of lines with n up to {VALIDATED}"

    def next_loss(self, share: float) -> tuple[Tensor, Tensor, int]:
        """See ``Task.next_loss``."""
        self._step += 1
        self.model.train()
        loss = _loss(self._scores(self._seen[0]), self._seen[1])
        return loss, loss.detach(), int((self._seen[1] != _IGNORED).sum())

    def epochs(self) -> float:
        """See ``Task.epochs``."""
        return float(self._step)

    def evaluate(self, share: float = 1.0, go_on: GoOn = always) -> Evaluation:
        """See ``Task.evaluate``; all of it, for it is short."""
        self.model.eval()
        with torch.no_grad():
            logits, targets = self._scores(self._asked[0]), self._asked[1]
        loss = _loss(logits, targets).item()
        right = (logits.argmax(2) == targets) | (targets == _IGNORED)  # [N, T]
        share = right.all(1).float().mean().item()
        return Evaluation(loss, _TIE_BREAK * loss - share, {RIGHT: share}, covered=1.0)

    def unigram_entropy(self) -> float:
        """Return the entropy in nats of how often each token is decided: a loss without context."""
        targets = self._asked[1].cpu().numpy()
        return entropy_of(targets[targets != _IGNORED])

    def _scores(self, tokens: Tensor) -> Tensor:
        logits, _ = run(self.model, tokens, self.model.initial_state(len(tokens)))
        return logits  # [N, T, V]

    def _on_device(self, arrays: tuple[np.ndarray, np.ndarray]) -> tuple[Tensor, Tensor]:
        tokens, targets = (torch.from_numpy(array).to(self._device) for array in arrays)
        return tokens, targets


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=_IGNORED
    )


def begin_counting(model: LanguageModel) -> None:
    """Let every cell of ``model`` begin with the gate open by which it keeps its state, and with
    recurrent weights so small that each letter adds about the same, however many came before.

    A cell of one state, as the GRU, begins as it was made: what it keeps is what it shows, and an
    open gate would hide from the head which letter came last.
    """
    stack = model.recurrent
    assert not isinstance(stack, CompactStack)  # which is no layer to train
    for cell in stack.cells():
        assert isinstance(cell, GatedCell)
        if len(cell.states) == 1:
            continue
        with torch.no_grad():
            cell.from_input.bias[cell.hidden : 2 * cell.hidden] = _OPEN
            cell.from_hidden.weight *= _RECURRENT


def lines(
    tokenizer: Tokenizer, letters: str, lengths: range, *, decided: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return tokens and targets, int64 ``[N, T]``, of a line of each of the N ``lengths``.

    A line begins after a newline. What is not to be predicted is -100: what fills a row up, and
    with ``decided`` each token that what stands before it leaves open.
    """
    longest = len(letters) * max(lengths) + 1
    (newline,) = tokenizer.encode("\n")
    tokens = np.full((len(lengths), longest), newline, np.int64)
    targets = np.full((len(lengths), longest), _IGNORED, np.int64)
    for row, n in enumerate(lengths):
        ids = tokenizer.encode(counting.line(letters, n))
        tokens[row, 1 : len(ids)] = ids[:-1]
        places = np.array(counting.decided(letters, n)) if decided else np.arange(len(ids))
        targets[row, places] = ids[places]
    return tokens, targets
