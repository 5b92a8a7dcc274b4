"""Text over a connection: the same tokens as ``edgernn generate`` with the same seed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from gathering import Gatherer
from limits import Limits
from messages import number

from edgernn.contract import TIME, Decoding
from edgernn.contract.random_numbers import uniform_numbers
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.generate import prefill_width
from edgernn.decoding.sampling import Sampler
from edgernn.decoding.stream_decoder import StreamDecoder
from edgernn.errors import DataError
from edgernn.sessions.streams import Stream

MOST_SEED, MOST_TOP_K = 2**64 - 1, 2**31


@dataclass(frozen=True)
class Wish:
    """A text that a client asks for."""

    prompt: np.ndarray
    length: int
    seed: int
    sampler: Sampler


class Writer:
    """The text of one connection, with a bundle's tokenizer and decoding defaults.

    ``pending`` are the tokens that its stream has not seen yet: the last one that was written.
    """

    def __init__(self, gatherer: Gatherer, tokenizer: Tokenizer, defaults: Decoding) -> None:
        self._gatherer, self._tokenizer, self._defaults = gatherer, tokenizer, defaults
        self._step = gatherer.model.step
        self.begin()

    def begin(self) -> None:
        """Forget what was written: the stream begins anew, or was fed by other means."""
        self.pending = np.zeros(0, np.int64)

    def wish(self, options: dict[str, Any], limits: Limits) -> Wish:
        """Read ``prompt``, ``length``, ``seed``, ``temperature``, ``top_k`` and ``top_p``.

        Raises:
            DataError, UsageError: one of them is out of its range, or unknown.
        """
        prompt = options.pop("prompt", "")
        if not isinstance(prompt, str):
            raise DataError(f"prompt is {prompt!r:.40}, expected a text")
        defaults = self._defaults
        sampler = Sampler(
            number(options, "temperature", defaults.temperature, most=1e6),
            int(number(options, "top_k", defaults.top_k, most=MOST_TOP_K)),
            number(options, "top_p", defaults.top_p, most=1.0),
        )
        length = int(number(options, "length", min(200, limits.tokens), most=limits.tokens))
        seed = int(number(options, "seed", 0, most=MOST_SEED))
        if options:
            raise DataError(f"{sorted(options)[0]!r:.40} is unknown, expected prompt, length, …")
        ids = self._tokenizer.encode(prompt)
        if len(ids) > limits.message_bytes:
            raise DataError(f"the prompt has {len(ids)} tokens, expected {limits.message_bytes}")
        return Wish(ids, length, seed, sampler)

    async def write(self, stream: Stream, wish: Wish) -> AsyncIterator[str]:
        """Feed the prompt, then yield each piece of the text as soon as it is whole."""
        decoder = StreamDecoder(self._tokenizer)
        for token in wish.prompt:
            decoder.push(int(token))
        ids = np.concatenate([self.pending, wish.prompt])
        if not len(ids):
            ids = np.array(self._defaults.start, np.int64)
        self.pending = np.zeros(0, np.int64)
        suppress = sorted(self._defaults.suppress)
        for position in range(wish.length):
            scores = await self._fed(stream, ids)
            uniform = float(uniform_numbers(wish.seed, 1, position=position)[0])
            token = wish.sampler.pick(scores, uniform, suppress=suppress)
            self.pending = ids = np.array([token], np.int64)
            if token in self._defaults.stop:
                break
            yield decoder.push(token)
        yield decoder.flush()

    async def _fed(self, stream: Stream, ids: np.ndarray) -> np.ndarray:
        """Feed ids ``[T]``; return the scores ``[V]`` after the last one."""
        spec = self._step.spec
        width = self._step.file_contract.axis_size(TIME) or prefill_width(self._step)
        for start in range(0, len(ids), width):
            part = {spec.text_ids.name: ids[None, start : start + width]}
            outputs = await self._gatherer.step(stream, part)
        return np.asarray(outputs[spec.text_scores.name][0, -1])
