"""A language model as a task of the loop: its state is carried from chunk to chunk of the lanes.

The corpus is cut into as many contiguous lanes as the batch has rows. A step takes the next chunk
of every lane and starts from the state that the last chunk left, detached (truncated
back-propagation through time, Williams & Peng 1990). At every step one row in turn starts from the
first state instead, so that the model learns to begin, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.data.text.corpus import Corpus
from edgernn.data.text.token_kinds import unit_of
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.generate import Generation, begin
from edgernn.decoding.sampling import Sampler
from edgernn.errors import TrainingError
from edgernn.models import checkpoint
from edgernn.models.cells.base import State
from edgernn.models.eager import EagerSession
from edgernn.models.family import RecurrentModel
from edgernn.models.language import start_tokens
from edgernn.training.distributed import World
from edgernn.training.gradients import gradient_norms, twice_differentiable, unrolled
from edgernn.training.lanes import Lanes
from edgernn.training.resume import taken
from edgernn.training.task import Evaluation, GoOn, always, positions_at_a_time
from edgernn.training.text_loss import STATE_PENALTY, ChunkLoss, row_axes, run

_EVALUATION_LANES, _EVALUATION_CHUNK = 16, 256
# at most so many validation tokens are measured, from the start of the part
_EVALUATION_TOKENS = 1 << 20
_SAMPLE_LENGTH = 160
_GRADIENT_STEPS = 64


class TextTask:
    """A language model on a corpus, as the loop wants it.

    Args:
        model: on its device already.
        corpus: encoded with ``tokenizer``.
        world: this process among others; the batch is shared out evenly.
        batch, chunk: of all processes together.
        mixed: run matrix products in bfloat16.
        folder: where ``save_best`` writes.
        about: what ``config.json`` tells of the training, completed at each ``save_best``.
        state_penalty, vanishing_penalty: of ``ChunkLoss``.
    """

    def __init__(
        self,
        model: RecurrentModel,
        corpus: Corpus,
        *,
        tokenizer: Tokenizer,
        world: World,
        batch: int,
        chunk: int,
        mixed: bool,
        folder: Path,
        about: dict[str, Any],
        state_penalty: float = STATE_PENALTY,
        vanishing_penalty: float = 0.0,
    ) -> None:
        self.model, self.world, self._covered = model, world, 1.0
        self._corpus, self._tokenizer, self._folder, self._about = corpus, tokenizer, folder, about
        self._batch, self._mixed = batch, mixed
        self._rows = world.rows(batch)
        self._lanes = Lanes(corpus.train, batch=batch, chunk=chunk, rows=self._rows)
        self._loss = world.wrap(ChunkLoss(model, state_penalty, vanishing_penalty))
        self._device = next(model.parameters()).device
        names = (spec.name for spec in model.config.contract().step.states)
        self._states = dict(zip(names, row_axes(model), strict=True))
        self._state = _detached(model.initial_state(len(self._rows)))
        self._step = 0
        self._validation_lanes()

    @property
    def unit(self) -> str:
        """See ``Task.unit``."""
        return unit_of(self._tokenizer.kind)

    @property
    def split(self) -> str:
        """See ``Task.split``."""
        ids, whole = self._validation_lanes()[0], len(self._corpus.validation)
        if self._covered == 1 and len(ids) == whole:
            return self._corpus.split
        return f"{self._corpus.split}, {round(self._covered * (len(ids) - 1)):,} tokens of it"

    def next_loss(self, share: float) -> tuple[Tensor, Tensor, int]:
        """See ``Task.next_loss``."""
        inputs, targets, starts = self._lanes.next()
        fresh = torch.tensor(
            [starts or row == self._step % self._batch for row in self._rows], device=self._device
        )
        self._step += 1
        self.model.train()
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._mixed):
            objective, loss, self._state = self._loss(
                self._tensor(inputs), self._tensor(targets), self._state, fresh
            )
        return objective, loss, self._batch * inputs.shape[1]

    def epochs(self) -> float:
        """See ``Task.epochs``."""
        return self._lanes.epochs()

    def rate_of(self, name: str) -> float:
        """See ``Task.rate_of``; all learn alike."""
        return 1.0

    def evaluate(self, share: float = 1.0, go_on: GoOn = always) -> Evaluation:
        """Measure nats per token over the validation part, in float32, the state carried along each
        of its lanes.

        A share of it is the first of every lane.
        """
        ids, count = self._validation_lanes()
        length = (len(ids) - 1) // count
        inputs, targets = (
            ids[start : start + count * length].reshape(count, length) for start in (0, 1)
        )
        wanted = max(math.ceil(share * length), min(length, _EVALUATION_CHUNK))
        chunk = min(
            _EVALUATION_CHUNK, max(1, positions_at_a_time(self.model.config.vocabulary) // count)
        )
        self.model.eval()
        total = 0.0
        with torch.no_grad():
            state = self.model.initial_state(count)
            for at in range(0, wanted, chunk):
                part = slice(at, min(at + chunk, wanted))
                if at and not go_on():
                    wanted = at
                    break
                logits, state = run(self.model, self._tensor(inputs[:, part]), state)
                true = self._tensor(targets[:, part]).flatten()
                total += nn.functional.cross_entropy(
                    logits.flatten(0, 1), true, reduction="sum"
                ).item()
        loss, self._covered = total / (count * wanted), wanted / length
        return Evaluation(loss, loss, covered=self._covered)

    def gradient_norms(self) -> dict[str, np.ndarray]:
        """See ``HasGradients``: of the loss of the last token of each of 16 pieces of the
        validation part, read from the first state on.
        """
        ids = self._validation_lanes()[0]
        steps = min(_GRADIENT_STEPS, len(ids) - 2)
        if steps < 1:
            return {}
        rows = max(1, min(_EVALUATION_LANES, (len(ids) - 1) // (steps + 1)))
        pieces = ids[: rows * (steps + 1) + 1]
        inputs = self._tensor(pieces[:-1].reshape(rows, steps + 1))
        last = self._tensor(pieces[steps + 1 :: steps + 1])  # [B]
        self.model.eval()
        with twice_differentiable():
            first = self.model.initial_state(rows)
            logits, states = unrolled(partial(run, self.model), inputs, first)
        loss = nn.functional.cross_entropy(logits[:, -1].float(), last, reduction="sum")
        axes = list(self._states.values())
        # the last state is handed on to no step that the loss depends on
        norms = gradient_norms(loss, states[1:-1], axes)
        return {name: n.cpu().numpy() for name, n in zip(self._states, norms, strict=True)}

    def unigram_entropy(self) -> float:
        """Return the entropy in nats of how often each token occurs in the validation part: a loss
        without context.
        """
        return entropy_of(self._validation_lanes()[0])

    def sample(self) -> str:
        """Return a short text in the model's words as of now."""
        self.model.eval()
        session = EagerSession(self.model)
        start = begin(session, start_tokens(self._tokenizer))
        generation = Generation(session, start, sampler=Sampler(temperature=0.8), seed=1)
        return self._tokenizer.decode(list(generation.write(_SAMPLE_LENGTH)))

    def save_best(self, *, step: int, found: Evaluation) -> None:
        """Write the checkpoint's weights and configuration."""
        result = {"step": step, "epochs": round(self.epochs(), 4), "validation_loss": found.loss}
        checkpoint.save_trained(
            self._folder,
            self.model,
            training={**self._about, "split": self.split, **result, **found.measured},
        )

    def state(self) -> dict[str, Tensor]:
        """See ``Task.state``: the lanes' position, the step, and the carried state of all
        rows.
        """
        position = torch.tensor([*self._lanes.position, self._step], dtype=torch.int64)
        whole = {
            name: self.world.gather(tensor, axis)
            for (name, axis), tensor in zip(self._states.items(), self._state, strict=True)
        }
        return {"position": position, **whole}

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See ``Task.set_state``."""
        passes, at, step = taken(tensors, "task.position", [3], dtype=torch.int64).tolist()
        if not (passes >= 0 and 0 <= at <= self._lanes.length and step >= 0):
            raise ValueError(
                f"its position is step {at:,} of pass {passes:,}, but the corpus has "
                f"{self._lanes.length:,} steps"
            )
        state = []
        for (name, axis), own in zip(self._states.items(), self._state, strict=True):
            shape = [*own.shape[:axis], self._batch, *own.shape[axis + 1 :]]
            whole = taken(tensors, f"task.{name}", shape)
            rows = whole.narrow(axis, self._rows.start, len(self._rows))
            state.append(rows.contiguous().to(self._device))
        self._state = tuple(state)
        self._lanes.position, self._step = (passes, at), step

    def _validation_lanes(self) -> tuple[np.ndarray, int]:
        ids = np.asarray(self._corpus.validation[: _EVALUATION_TOKENS + 1])
        if len(ids) < 2:
            raise TrainingError(
                f"the validation part has {len(ids)} tokens, it needs 2 or more; give more text"
            )
        return ids, min(_EVALUATION_LANES, max(1, (len(ids) - 1) // _EVALUATION_CHUNK))

    def _tensor(self, ids: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(ids, np.int64)).to(self._device)


def entropy_of(ids: np.ndarray) -> float:
    """Return the entropy in nats of how often each id occurs in ``ids``."""
    shares = np.unique(ids, return_counts=True)[1] / len(ids)
    return max(0.0, float(-(shares * np.log(shares)).sum()))  # not -0 of one alone


def _detached(state: State) -> State:
    return tuple(tensor.detach() for tensor in state)
