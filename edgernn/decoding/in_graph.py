"""Generation by a file that decodes in the graph, with the face of ``Generation``: the whole text
in one call.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from edgernn.decoding.generate import Snapshot
from edgernn.decoding.sampling import Sampler
from edgernn.sessions.in_graph import Generator


class InGraphGeneration:
    """Writes what ``Generation`` writes, in one call; the arguments and ``snapshot`` are its
    own.
    """

    def __init__(
        self, generator: Generator, start: Snapshot, *, sampler: Sampler, seed: int = 0
    ) -> None:
        self._generator, self._sampler, self._seed = generator, sampler, seed
        self.snapshot = start

    def write(self, length: int, *, stop: Collection[int] = ()) -> Iterator[int]:
        """Yield up to ``length`` tokens, ending early after a token in ``stop``."""
        if length < 1:
            return
        start = self.snapshot
        made = self._generator.generate(
            start.pending,
            start.state,
            length=length,
            sampler=self._sampler,
            seed=self._seed,
            position=start.position,
            stop=stop,
        )
        self.snapshot = Snapshot(made.state, made.tokens[-1:], start.position + len(made.tokens))
        yield from made.tokens.tolist()
