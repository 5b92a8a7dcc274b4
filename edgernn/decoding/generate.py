"""From a prompt to a stream of tokens: prefill once, then one step a token, the state in plain
sight.

``Generation`` can be stopped after any token, its ``snapshot`` saved, moved to another device and
continued: the same tokens come as if it had never stopped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from edgernn.contract import TIME
from edgernn.contract.random_numbers import checked_seed, uniform_numbers
from edgernn.decoding.sampling import Sampler
from edgernn.errors import UsageError
from edgernn.sessions.base import Arrays, Session, State
from edgernn.sessions.file import OpenedFile

NO_CONTEXTS: Arrays = MappingProxyType({})
PREFILL_STEPS = 256  # a longer prompt goes in as several calls, so that memory stays bounded
_MOST_LOGITS = 1 << 22  # of one such call: 16 MiB


@dataclass(frozen=True)
class Snapshot:
    """Where a generation stands.

    Attributes:
        state: the session's state by name, each ``[L, 1, H]``.
        pending: int64 ``[N]``, tokens already written or given that the state has not seen yet.
        position: how many tokens were sampled so far: the place in the seed's stream of random
            numbers.
    """

    state: State
    pending: np.ndarray
    position: int = 0


def prefill(
    session: Session, tokens: np.ndarray, state: State, *, contexts: Arrays = NO_CONTEXTS
) -> tuple[dict[str, np.ndarray], State]:
    """Feed ``tokens`` int64 ``[B, T]``, in one call where the file's time axis is open, else step
    by step.

    Args:
        session: takes ids and gives scores of them.
        tokens: at least one.
        state: before the first of them.
        contexts: what ``encode`` gave, where the model has such a graph.

    Returns:
        The outputs of the last token, each ``[B, …]`` without its time axis (scores ``[B,
        V]``), and the state after it.
    """
    ids = session.spec.text_ids.name
    width = session.file_contract.axis_size(TIME) or prefill_width(session, rows=len(tokens))
    if tokens.shape[1] == 0:
        raise UsageError("there is no token to feed; give a prompt of at least one token")
    for start in range(0, tokens.shape[1], width):
        outputs, state = session.step({ids: tokens[:, start : start + width], **contexts}, state)
    return {name: array[:, -1] for name, array in outputs.items()}, state


def prefill_width(session: Session, *, rows: int = 1) -> int:
    """Return how many steps a call of a prefill takes where the file's time axis is open."""
    scores = session.spec.scores
    size = 1 if scores is None else session.contract.vocabulary
    return min(PREFILL_STEPS, max(1, _MOST_LOGITS // (rows * size)))


class Generation:
    """Write tokens one by one; an iterator over token ids.

    Args:
        session: takes ids and gives scores of them.
        start: where to begin; ``begin`` makes one from a prompt.
        sampler: how to choose.
        seed: of the random numbers, 0 to 2^64 - 1; the n-th sampled token uses the n-th number.
        contexts: what ``encode`` gave, where the model has such a graph.
        suppress: ids that are never written.

    Raises:
        UsageError: the seed is out of its range.

    Attributes:
        snapshot: where it stands.
        outputs: what the last step gave, each ``[B, …]``; empty before the first.
    """

    def __init__(
        self,
        session: Session,
        start: Snapshot,
        *,
        sampler: Sampler,
        seed: int = 0,
        contexts: Arrays = NO_CONTEXTS,
        suppress: Collection[int] = (),
    ) -> None:
        self._session, self._scores = session, session.spec.text_scores.name
        self._sampler = sampler
        self._contexts, self._suppress = contexts, sorted(suppress)
        self.outputs: dict[str, np.ndarray] = {}
        self._seed = checked_seed(seed)
        self.snapshot = start

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.outputs, state = prefill(
            self._session, self.snapshot.pending[None], self.snapshot.state, contexts=self._contexts
        )
        position = self.snapshot.position
        uniform = float(uniform_numbers(self._seed, 1, position=position)[0])
        # of [V]
        token = self._sampler.pick(self.outputs[self._scores][0], uniform, suppress=self._suppress)
        self.snapshot = Snapshot(state, np.array([token], np.int64), position + 1)
        return token

    def write(self, length: int, *, stop: Collection[int] = ()) -> Iterator[int]:
        """Yield up to ``length`` tokens, ending early after a token in ``stop``."""
        for _ in range(length):
            token = next(self)
            yield token
            if token in stop:
                return


def begin(file: OpenedFile, prompt: np.ndarray, *, after: Snapshot | None = None) -> Snapshot:
    """Return the place from which to write on after ``prompt``, int64 ``[N]``.

    Args:
        file: gives the first state.
        prompt: what to feed first; may be empty only when continuing.
        after: the snapshot to continue from, else the first state.

    Raises:
        UsageError: nothing to feed.
    """
    after = after or Snapshot(file.initial_state(1), np.zeros(0, np.int64))
    pending = np.concatenate([after.pending, np.asarray(prompt, np.int64)])
    if not len(pending):
        raise UsageError(
            "the prompt is empty and there is nothing to continue; give at least one token"
        )
    return Snapshot(after.state, pending, after.position)


def greedy_tokens(session: Session, prompt: np.ndarray, length: int) -> list[int]:
    """Return the ``length`` most probable tokens after ``prompt``, each fed back."""
    generation = Generation(session, begin(session, prompt), sampler=Sampler(temperature=0))
    return list(generation.write(length))
