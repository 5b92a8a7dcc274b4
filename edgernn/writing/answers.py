"""Answers to questions about a picture from a bundle: open it once, look at a picture once, ask as
often as one likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.contract import HEIGHT
from edgernn.data.pictures.pictures import open_picture, to_array
from edgernn.errors import DataError
from edgernn.families.loss import log_probabilities
from edgernn.sessions.base import Arrays
from edgernn.wording import some
from edgernn.writing.opened import Opened
from edgernn.writing.text import open_tokenizer

_SHOWN_PIXELS = 512  # more than a panel of an attention map shows
_AROUND_WORDS = "?!.,;:\"'()"


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture that a model has looked at: the contexts and the first state of every question.

    Attributes:
        contexts, state: as ``Model.begin`` gives them.
        picture: uint8 ``[H, W, 3]``, upright and in its own proportions, to draw on.
    """

    contexts: Arrays
    state: Arrays
    picture: np.ndarray


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to one question.

    Attributes:
        question: as it was asked.
        words: as the model read them, T of them.
        unknown: the words of the question that the model does not know.
        probabilities: ``[A]``, of every answer after the last word.
        labels: the names of the A answers.
        running: ``[T, A]``, the probabilities after every word.
        attention: ``[T, R]``, where the model looked at each word; None without attention.
    """

    question: str
    words: tuple[str, ...]
    unknown: tuple[str, ...]
    probabilities: np.ndarray
    labels: tuple[str, ...]
    running: np.ndarray
    attention: np.ndarray | None

    def best(self, count: int) -> list[tuple[str, float]]:
        """Return the ``count`` most probable answers, the most probable first."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.labels[index], float(self.probabilities[index])) for index in order]

    def to_record(self, count: int) -> dict[str, Any]:
        """Return what a line of JSON says of it."""
        best = self.best(count)
        return {
            "question": self.question,
            "answer": best[0][0],
            "probability": best[0][1],
            "answers": [{"answer": name, "probability": share} for name, share in best],
            "unknown": list(self.unknown),
        }


class Answerer(Opened):
    """A bundle that answers questions about pictures, opened; see ``Opened``.

    Attributes:
        has_attention: whether answers say where the model looked.
    """

    command = "ask"

    def _ready(self) -> None:
        """See ``Opened``."""
        step = self._bundle.manifest.contract.step
        self._tokenizer = open_tokenizer(self._bundle)
        self._scores, self._attention = step.read_outputs[0], step.attention
        self._labels = self._names(self._scores.axes[-1])
        self.has_attention = self._attention is not None

    def look(self, path: Path) -> Seen:
        """Look at the picture file ``path``.

        Raises:
            DataError: the file is missing, or is no picture that can be read.
        """
        picture = open_picture(path)
        side = self._model.contract.sizes[HEIGHT]  # of the picture, which is square
        contexts, state = self._model.look(to_array(picture, side)[None])  # [1, S, S, 3]
        picture.thumbnail((_SHOWN_PIXELS, _SHOWN_PIXELS))
        return Seen(contexts, state, np.array(picture))

    def ask(self, seen: Seen, question: str) -> Answer:
        """Answer a question about a picture.

        Raises:
            DataError: the question has no word that the model knows.
        """
        ids, unknown = self._read(question)
        step, state = self._model.contract.step, seen.state
        scores, looked = [], []
        for token in ids:
            fed = {step.text_ids.name: np.array([[token]], np.int64), **seen.contexts}
            outputs, state = self._model.step(fed, state)
            scores.append(outputs[self._scores.name][0, -1])
            if self._attention is not None:
                looked.append(outputs[self._attention.name][0, -1])
        running = np.exp(log_probabilities(np.stack(scores)))  # [T, A]
        return Answer(
            question,
            tuple(map(self._tokenizer.token, ids.tolist())),
            unknown,
            running[-1],
            self._labels,
            running,
            np.stack(looked) if looked else None,
        )

    def _read(self, question: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return the ids of a question, and the words that the vocabulary lacks."""
        ids, lacking = self._tokenizer.encode(question), self._tokenizer.unknown_id
        words = (word.strip(_AROUND_WORDS) for word in question.split())
        unknown = tuple(
            word
            for word in words
            if lacking is not None and lacking in self._tokenizer.encode(word)
        )
        if not (ids != (-1 if lacking is None else lacking)).any():
            told = f"knows none of the words {some(unknown)}" if unknown else "was asked nothing"
            known = map(self._tokenizer.token, range(self._tokenizer.vocabulary_size))
            words_of = [word for word in known if not word.startswith("<")]
            raise DataError(
                f"the question {question!r}: the model {told}; ask with its {len(words_of)} words, "
                f"such as {some(words_of)}"
            )
        return ids, unknown
