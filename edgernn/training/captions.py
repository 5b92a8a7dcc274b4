"""Training a captioner on pictures: shuffled batches, the words of a reference as targets, measured
running free.

A batch takes pictures in an order that is shuffled anew at every pass and one reference drawn for
each. What is measured on the validation part is what a user will get: greedy captions, each word
fed back, scored against all references.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.contract import ENCODE, STEP, Decoding, FileContract
from edgernn.data.pictures.caption_ids import PAD_ID, caption_text, encode_caption, pad_captions
from edgernn.data.pictures.picture_set import PictureSet
from edgernn.data.text.token_kinds import CAPTION, unit_of
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.captions import greedy_captions
from edgernn.errors import TrainingError
from edgernn.families.caption_scores import SCORES, score_captions
from edgernn.models import checkpoint
from edgernn.models.captioner import Captioner
from edgernn.models.eager import EagerSession
from edgernn.sessions.model import Model
from edgernn.training.caption_objective import CaptionLoss, CaptionOptions
from edgernn.training.distributed import World
from edgernn.training.gradients import twice_differentiable
from edgernn.training.resume import taken
from edgernn.training.task import Evaluation, GoOn, always, positions_at_a_time
from edgernn.training.text import entropy_of
from edgernn.training.unrolling import Unrolled

EVALUATION_PICTURES = (
    256  # at most so many validation pictures are measured, from the start of the part
)
_ROWS, _PROBED = 64, 8  # pictures measured at a time, and at least
_TIE_BREAK = 1e-6  # of the loss: far below what one caption changes in CIDEr-D


class CaptionTask:
    """A captioner on a set of pictures, as the loop wants it.

    Args:
        model: on its device already.
        pictures: with the splits ``train`` and ``validation``.
        tokenizer: of the kind caption.
        options: of the loss and the encoder.
        decoding: how captions are written: start, stop, suppressed ids and length.
        world: this process among others; the batch is shared out evenly.
        batch: pictures of all processes together.
        seed: of the order of pictures and the choice of references.
        mixed: run matrix products in bfloat16.
        folder: where ``save_best`` writes.
        about: what ``config.json`` tells of the training, completed at each ``save_best``.
    """

    def __init__(
        self,
        model: Captioner,
        pictures: PictureSet,
        *,
        tokenizer: Tokenizer,
        options: CaptionOptions,
        decoding: Decoding,
        world: World,
        batch: int,
        seed: int,
        mixed: bool,
        folder: Path,
        about: dict[str, Any],
    ) -> None:
        self.model, self._options, self._decoding = model, options, decoding
        self._pictures, self._tokenizer, self._folder, self._about = (
            pictures,
            tokenizer,
            folder,
            about,
        )
        self._train, self._validation = (
            pictures.split("train"),
            pictures.split("validation")[:EVALUATION_PICTURES],
        )
        if len(self._train) < batch:
            raise TrainingError(
                f"there are {len(self._train)} training pictures, a batch needs {batch}; use a "
                "smaller --batch"
            )
        self._measured = len(self._validation)  # pictures, at the last evaluation
        rows = world.rows(batch, of="pictures")
        self._batch, self._rows = batch, slice(rows.start, rows.stop)
        self._seed, self._mixed = seed, mixed
        self._ids = [
            [encode_caption(tokenizer, text) for text in captions] for captions in pictures.captions
        ]
        self._loss = CaptionLoss(model, options).to(model.head.bias.device)
        self._wrapped = world.wrap(self._loss, partly=options.frozen > 0)
        self._device = model.head.bias.device
        self._step = 0

    @property
    def unit(self) -> str:
        """See ``Task.unit``."""
        return unit_of(CAPTION)

    @property
    def split(self) -> str:
        """See ``Task.split``."""
        return f"{self._measured} validation pictures of {self._pictures.source}"

    def rate_of(self, name: str) -> float:
        """See ``Task.rate_of``."""
        return self._options.encoder_rate if name.startswith("encoder.") else 1.0

    def next_loss(self, share: float) -> tuple[Tensor, Tensor, int]:
        """See ``Task.next_loss``."""
        which, tokens = self._next_batch()
        self._set_training(share)
        own = None
        if self._options.scheduled_sampling:
            chance = self._options.scheduled_sampling * min(share, 1.0)
            own = torch.rand(tokens.shape[0], tokens.shape[1] - 1, device=self._device) < chance
        image = torch.from_numpy(self._pictures.pictures[which]).to(self._device)
        with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._mixed):
            objective, loss = self._wrapped(image, tokens, own)
        return objective, loss, int((tokens[:, 1:] != PAD_ID).sum()) * self._batch // len(which)

    def epochs(self) -> float:
        """See ``Task.epochs``."""
        return self._step / self._batches

    def evaluate(self, share: float = 1.0, go_on: GoOn = always) -> Evaluation:
        """Measure nats per token, and greedy captions by CIDEr-D, BLEU-1 to 4, ROUGE-L and exact
        match.

        The criterion is CIDEr-D of the free-running captions, turned round; among equals the loss
        decides.
        """
        self.model.eval()
        wanted = max(math.ceil(share * len(self._validation)), min(_PROBED, len(self._validation)))
        written, total, count, at = list[str](), 0.0, 0, 0
        while at < wanted and (not at or go_on()):
            part = np.array(self._validation[at : min(at + _ROWS, wanted)])
            images, at = self._pictures.pictures[part], at + len(part)
            written += [
                caption_text(self._tokenizer, ids)
                for ids in greedy_captions(self._opened(), images, self._decoding)
            ]
            lost, tokens = self._validation_loss(part)
            total, count = total + lost, count + tokens
        scores = score_captions(
            written, [self._pictures.captions[index] for index in self._validation[:at]]
        )
        measured = {name: scores[name] for name in SCORES}
        loss, self._measured = total / count, at
        return Evaluation(
            loss,
            _TIE_BREAK * loss - scores["cider_d"],
            measured,
            covered=at / len(self._validation),
        )

    def gradient_norms(self) -> Mapping[str, np.ndarray]:
        """See ``HasGradients``: of the end of the first reference of some validation pictures."""
        part = np.array(self._validation[:_PROBED])
        tokens = self._padded([self._ids[index][0] for index in part])  # [B, T + 1]
        self.model.eval()
        steps = Unrolled(self.model)
        with twice_differentiable():
            image = torch.from_numpy(self._pictures.pictures[part]).to(self._device)
            contexts, state = self.model.encode(image)
            logits = steps.graph(STEP, tokens[:, :-1], *contexts, *state)[0].transpose(1, 2)
        true = tokens[:, 1:]
        last = (true != PAD_ID).sum(1) - 1  # [B]
        losses = nn.functional.cross_entropy(logits.float(), true, reduction="none")  # [B, T]
        return steps.norms(losses.gather(1, last[:, None])[:, 0], last)

    def unigram_entropy(self) -> float:
        """Return the entropy in nats of how often each word, or the end, occurs in the measured
        captions.
        """
        return entropy_of(
            np.concatenate([ids[1:] for index in self._validation for ids in self._ids[index]])
        )

    def sample(self) -> str:
        """Return what the model says of the first validation picture."""
        self.model.eval()
        image = self._pictures.pictures[self._validation[0] : self._validation[0] + 1]
        (ids,) = greedy_captions(self._opened(), image, self._decoding)
        return caption_text(self._tokenizer, ids)

    def save_best(self, *, step: int, found: Evaluation) -> None:
        """Write the checkpoint's weights and configuration."""
        result = {
            "step": step,
            "epochs": round(self.epochs(), 4),
            "validation_loss": found.loss,
            **found.measured,
        }
        checkpoint.save_trained(
            self._folder, self.model, training={**self._about, "split": self.split, **result}
        )

    def state(self) -> dict[str, Tensor]:
        """See ``Task.state``: the steps made, and hard attention's baseline."""
        return {
            "position": torch.tensor([self._step]),
            "baseline": self._loss.get_buffer("baseline"),
        }

    def set_state(self, tensors: Mapping[str, Tensor]) -> None:
        """See ``Task.set_state``."""
        (step,) = taken(tensors, "task.position", [1], dtype=torch.int64).tolist()
        if step < 0:
            raise ValueError(f"its position is step {step}, expected 0 or more")
        self._loss.get_buffer("baseline").copy_(taken(tensors, "task.baseline", []))
        self._step = step

    @property
    def _batches(self) -> int:
        return len(self._train) // self._batch

    def _next_batch(self) -> tuple[np.ndarray, Tensor]:
        """Return the next pictures ``[rows]`` of this process and a reference of each, int64
        ``[rows, T + 1]``.

        Both follow from the seed and the number of the step alone, so that a resumed run goes on
        with the same ones.
        """
        epoch, place = divmod(self._step, self._batches)
        order = (
            np.random.default_rng([self._seed, epoch]).permutation(len(self._train))
            + self._train.start
        )
        random = np.random.default_rng([self._seed, epoch, place])
        which = order[place * self._batch : (place + 1) * self._batch]
        chosen = [self._ids[index][random.integers(len(self._ids[index]))] for index in which]
        self._step += 1
        return which[self._rows], self._padded(chosen[self._rows])

    def _set_training(self, share: float) -> None:
        """Put the model in training mode, the encoder as its options say at this ``share`` of the
        run.
        """
        self.model.train()
        trained = share >= self._options.frozen
        self.model.encoder.requires_grad_(trained)
        if self._options.pretrained or not trained:
            self.model.encoder.eval()

    def _opened(self) -> Model:
        contract = self.model.config.contract()
        encode = EagerSession(self.model, FileContract(contract=contract, graph=ENCODE))
        return Model(EagerSession(self.model), encode)

    def _validation_loss(self, part: np.ndarray) -> tuple[float, int]:
        """Return nats and tokens, teacher-forced, of every reference of the pictures ``part``."""
        with torch.no_grad():
            image = torch.from_numpy(self._pictures.pictures[part]).to(self._device)
            contexts, state = self.model.encode(image)
            owner = [row for row, index in enumerate(part) for _ in self._ids[index]]
            rows = torch.tensor(owner, device=self._device)
            tokens = self._padded([ids for index in part for ids in self._ids[index]])
            lost, together = (
                0.0,
                max(1, positions_at_a_time(self.model.config.vocabulary) // tokens.shape[1]),
            )
            for some in torch.arange(len(tokens), device=self._device).split(together):
                own, own_state = (
                    tuple(c[rows[some]] for c in contexts),
                    tuple(s[:, rows[some]] for s in state),
                )
                logits = self.model(own, own_state, tokens[some, :-1]).logits.transpose(1, 2)
                true = tokens[some, 1:]
                lost += nn.functional.cross_entropy(
                    logits, true, ignore_index=PAD_ID, reduction="sum"
                ).item()
        return lost, int((tokens[:, 1:] != PAD_ID).sum())

    def _padded(self, captions: Sequence[np.ndarray]) -> Tensor:
        return torch.from_numpy(pad_captions(captions, self._decoding.length)).to(self._device)
