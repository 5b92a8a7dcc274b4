"""Labels of texts or of clips of frames from a bundle: open it once, then as many as one likes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.bundle import Bundle
from edgernn.contract import TIME, TensorSpec
from edgernn.data.labelled.sets import padded
from edgernn.data.text.tokenizer import OnUnknown
from edgernn.errors import DataError, UsageError
from edgernn.families.loss import log_probabilities
from edgernn.wording import argument
from edgernn.writing.opened import Opened
from edgernn.writing.running import Running
from edgernn.writing.text import open_tokenizer

ROWS = 64  # sequences that run together


class Classified(Running):
    """What a model says of one sequence of T tokens or frames, after each of them."""

    def steps(self) -> Iterator[tuple[str, float]]:
        """Yield the most probable class after each token or frame, and its probability."""
        for row in self.running:
            yield self.labels[int(row.argmax())], float(row.max())


@dataclass(frozen=True, eq=False)
class Read:
    """A text as a model reads it: its ids int64 ``[T]``, the T tokens, and the words of it that the
    model does not know.
    """

    ids: np.ndarray
    tokens: tuple[str, ...]
    unknown: tuple[str, ...]


class Classifier(Opened):
    """A classifier's bundle, opened; see ``Opened``.

    Attributes:
        labels: the names of its classes.
        textual: whether it reads texts, else frames.
        width: F, the numbers of a frame; 0 where it reads texts.
    """

    command = "classify"

    def _ready(self) -> None:
        """See ``Opened``."""
        manifest = self._bundle.manifest
        self._input = _only_input(self._bundle)
        self.textual = manifest.tokenizer is not None
        self.width = 0 if self.textual else manifest.contract.sizes[self._input.axes[-1]]
        self._scores = manifest.contract.step.read_outputs[0]
        self.labels = self._names(self._scores.axes[-1])
        self._tokenizer = open_tokenizer(self._bundle) if self.textual else None

    def read(self, text: str, *, on_unknown: OnUnknown = "error") -> Read:
        """Return a text as the model reads it.

        Raises:
            DataError: nothing is left of it, or the vocabulary lacks a character.
            UsageError: the model reads frames; or ``on_unknown`` is no such word.
        """
        tokenizer = self._tokenizer
        if tokenizer is None:
            raise UsageError(
                f"{self._bundle.source} reads frames of {self.width} numbers, and {text[:40]!r} is "
                "a text; give an npz file of frames"
            )
        ids = tokenizer.encode(text, on_unknown=on_unknown)
        lacking = tokenizer.unknown_id
        unknown = (
            word
            for word in text.split()
            if lacking is not None and lacking in tokenizer.encode(word)
        )
        if not len(ids):
            raise DataError(f"the model reads nothing of the text {text[:40]!r}; give another one")
        return Read(ids, tuple(map(tokenizer.token, ids.tolist())), tuple(unknown))

    def classify(self, sequences: Sequence[np.ndarray]) -> Iterator[Classified]:
        """Yield what the model says of each sequence: ids ``[T]``, or frames ``[T, F]``.

        Raises:
            DataError: frames are of another width.
        """
        rows = self._model.rows or ROWS
        for start in range(0, len(sequences), rows):
            yield from self._together(sequences[start : start + rows])

    def follow(self, frames: Iterator[np.ndarray]) -> Iterator[Classified]:
        """Yield what the model says after each frame ``[F]`` of one clip that is still going on."""
        contexts, state = self._model.begin(batch=self._model.rows or 1)
        for frame in frames:
            self._refuse_width(frame)
            fed = np.repeat(frame[None, None], self._model.rows or 1, 0).astype(self._input.dtype)
            outputs, state = self._model.step({self._input.name: fed, **contexts}, state)
            yield Classified(self.labels, _probabilities(outputs[self._scores.name][0, -1:]))

    def _together(self, sequences: Sequence[np.ndarray]) -> Iterator[Classified]:
        for sequence in sequences if not self.textual else ():
            self._refuse_width(sequence)
        filled = list(sequences)
        if self._model.rows:  # the file takes so many, no fewer
            filled += [filled[-1]] * (self._model.rows - len(filled))
        given, lengths = padded(filled)  # [N, T, …]
        at_once = self._model.step.file_contract.axis_size(TIME) or given.shape[1]
        if spare := -given.shape[1] % at_once:  # what follows an end changes nothing before it
            given = np.concatenate([given, np.zeros_like(given[:, :1]).repeat(spare, 1)], 1)
        contexts, state = self._model.begin(batch=len(filled))
        scores = []
        for t in range(0, given.shape[1], at_once):
            fed = np.ascontiguousarray(given[:, t : t + at_once], self._input.dtype)
            outputs, state = self._model.step({self._input.name: fed, **contexts}, state)
            scores.append(outputs[self._scores.name])
        found = np.concatenate(scores, 1)  # [N, T, C]
        for row, length in zip(found[: len(sequences)], lengths, strict=False):
            yield Classified(self.labels, _probabilities(row[:length]))

    def _refuse_width(self, frames: np.ndarray) -> None:
        if frames.shape[-1] != self.width:
            raise DataError(
                f"frames of {frames.shape[-1]} numbers, the model reads frames of {self.width}"
            )


def _probabilities(scores: np.ndarray) -> np.ndarray:
    """Return the probabilities ``[T, C]`` of scores ``[T, C]``."""
    found: np.ndarray = np.exp(log_probabilities(scores))
    return found


def _only_input(bundle: Bundle) -> TensorSpec:
    """Return the only thing that a sequence is made of; raise UsageError where there is more."""
    contract = bundle.manifest.contract
    fresh = [spec for graph in contract.graphs for spec in graph.fresh_inputs]
    if len(fresh) != 1:
        raise UsageError(
            f"{bundle.source} takes {', '.join(spec.name for spec in fresh)}, expected one input; "
            f"step it with edgernn.open_session, or check it with: edgernn verify "
            f"{argument(bundle.source)}"
        )
    return fresh[0]
