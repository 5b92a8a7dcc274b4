"""Texts after many prompts: those that are not at their end yet share every call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgernn.bundle import Bundle
from edgernn.contract import TIME
from edgernn.contract.random_numbers import SEEDS, checked_seed, uniform_numbers
from edgernn.data.text.tokenizer import OnUnknown
from edgernn.decoding.generate import prefill_width
from edgernn.decoding.sampling import Sampler
from edgernn.errors import EdgernnError
from edgernn.sessions.model import choose_model
from edgernn.sessions.streams import Stream, Streams
from edgernn.wording import whole
from edgernn.writing.text import open_tokenizer


@dataclass(eq=False)
class _Text:
    """A text that is being written."""

    prompt: np.ndarray
    seed: int
    stream: Stream | None = None
    tokens: list[int] = field(default_factory=list)


class Generating:
    """Writes with one bundle; row n of all rows with the seed ``seed + n``.

    Args:
        bundle: of a language model.
        artifact: see ``choose_model``.
        length: most tokens of a text.
        seed: 0 to 2^64 - 1.
        temperature, top_k, top_p: see ``Sampler``; None takes the bundle's defaults.

    Raises:
        UsageError: a value is out of its range.
    """

    def __init__(
        self,
        bundle: Bundle,
        artifact: str | None,
        *,
        length: int,
        seed: int,
        temperature: float | None,
        top_k: int | None,
        top_p: float | None,
    ) -> None:
        self._step = choose_model(bundle, artifact, threads=1)[1].step
        self._streams = Streams(self._step)
        self._tokenizer, self._defaults = open_tokenizer(bundle), bundle.manifest.decoding_defaults
        self._sampler = Sampler.from_defaults(
            self._defaults, temperature=temperature, top_k=top_k, top_p=top_p
        )
        self._length, self._seed = whole(length, "length"), checked_seed(seed)
        self._suppress = sorted(self._defaults.suppress)
        self._stop = set(self._defaults.stop)

    def read(self, prompt: str, *, on_unknown: OnUnknown = "error") -> np.ndarray:
        """Return the ids of a prompt, the bundle's start tokens where it is empty; see
        ``Tokenizer.encode``.

        Raises:
            DataError: the vocabulary lacks a character.
        """
        ids = self._tokenizer.encode(prompt, on_unknown=on_unknown)
        return ids if len(ids) else np.array(self._defaults.start, np.int64)

    def write(
        self, prompts: Sequence[np.ndarray | EdgernnError], first: int
    ) -> Iterator[dict[str, Any] | EdgernnError]:
        """Yield the text of each prompt, and the errors as they are.

        Args:
            prompts: of rows ``first``, ``first + 1``, …
        """
        texts = [
            prompt
            if isinstance(prompt, EdgernnError)
            else _Text(prompt, (self._seed + first + row) % SEEDS)
            for row, prompt in enumerate(prompts)
        ]
        pending = [text for text in texts if isinstance(text, _Text)]
        try:
            self._write_all(pending)
        finally:  # a call that fails leaves no stream behind
            for stream in [each.stream for each in pending]:
                if stream is not None and stream.joined:
                    self._streams.leave(stream)
        for text in texts:
            if isinstance(text, _Text):
                written = self._tokenizer.decode(text.tokens)
                yield {"generated": written, "tokens": len(text.tokens)}
            else:
                yield text

    def _write_all(self, texts: list[_Text]) -> None:
        pending = {text: text.prompt for text in texts}
        while pending:
            for text in pending:
                text.stream = text.stream or self._streams.join()
            scores = self._fed(pending)
            pending = {}
            for text, row in scores.items():
                position = len(text.tokens)
                uniform = float(uniform_numbers(text.seed, 1, position=position)[0])
                token = self._sampler.pick(row, uniform, suppress=self._suppress)
                text.tokens.append(token)
                if position + 1 < self._length and token not in self._stop:
                    pending[text] = np.array([token], np.int64)
                elif text.stream is not None:
                    self._streams.leave(text.stream)

    def _fed(self, pending: dict[_Text, np.ndarray]) -> dict[_Text, np.ndarray]:
        """Feed ids ``[T]`` to each; return the scores ``[V]`` after the last ones."""
        spec = self._step.spec
        ids, scores = spec.text_ids.name, spec.text_scores.name
        width = self._step.file_contract.axis_size(TIME) or prefill_width(self._step, rows=64)
        found: dict[_Text, np.ndarray] = {}
        for start in range(0, max(map(len, pending.values())), width):
            given = {
                text.stream: {ids: tokens[None, start : start + width]}
                for text, tokens in pending.items()
                if text.stream is not None and len(tokens) > start
            }
            made = self._streams.step_each(given)
            for text, tokens in pending.items():
                if text.stream in made and len(tokens) <= start + width:
                    found[text] = made[text.stream][scores][0, -1]
        return {text: found[text] for text in pending}
