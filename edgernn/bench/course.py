"""What ``bench`` feeds an artifact, and one artifact on its way: called again and again, its calls
timed.

What goes in is the bundle's held-out sample, else random values from a seed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np

from edgernn.bench.alone import Alone
from edgernn.bundle import Bundle
from edgernn.bundle.records import Artifact
from edgernn.contract import BATCH, TIME, TensorSpec
from edgernn.decoding.generate import prefill_width
from edgernn.families.base import Feed
from edgernn.families.samples import sample_of
from edgernn.families.table import family_of
from edgernn.sessions.base import Arrays, Session, State
from edgernn.sessions.padding import padded

SEED = 7
PREFILL_TOKENS = 256
_WARM_UP = 20  # calls before the first round
# and before each: other artifacts and the bandwidth's buffer have been through the caches since
_WARM_ROUND = 3


def feed_for(bundle: Bundle) -> Feed:
    """Return what the artifacts of ``bundle`` are fed.

    Raises:
        ContractError: the held-out sample is damaged.
    """
    manifest = bundle.manifest
    return family_of(manifest.family).feed(manifest.contract, sample_of(bundle), seed=SEED)


class Course:
    """One opened artifact on its way: called again and again, a step with the state of the one
    before.

    Args:
        artifact: what is measured.
        session: the artifact, opened.
        feed: what goes in.
        contexts: what the encode graph gave for a picture of the feed; a step takes them.
        state: before the first step.
        rows: sequences of a call, all fed the same; as many as a file takes of ``--streams``.

    Attributes:
        call_ms: of every timed call.
        prefill_s: of every timed prefill of ``PREFILL_TOKENS`` tokens.
        alone: what the process of its own said.
        baseline_bytes: the peak of one that only imported the runtime.
    """

    def __init__(
        self,
        artifact: Artifact,
        session: Session,
        feed: Feed,
        *,
        contexts: Arrays,
        state: State,
        rows: int = 1,
    ) -> None:
        self.artifact, self.rows = artifact, rows
        self.call_ms: list[float] = []
        self.prefill_s: list[float] = []
        self.alone = Alone()
        self.baseline_bytes: int | None = None
        self._session, self._feed = session, feed
        self._contexts, self._first_state, self._state = contexts, state, state
        self._place = count()

    @property
    def runtime(self) -> str:
        """What runs it, in words."""
        return self._session.runtime

    @property
    def unit(self) -> str:
        """What one call of it is."""
        return self._session.spec.unit

    @property
    def encodes(self) -> bool:
        """Whether it is the artifact of an encode graph."""
        return self._session.spec.once

    def feeds(self) -> dict[str, np.ndarray]:
        """Return all that goes into the next call, by name."""
        return {**self._inputs(next(self._place)), **({} if self.encodes else self._state)}

    def warm_up(self) -> None:
        """Call it before the first round, untimed, in each way in which it will be timed."""
        self._call(_WARM_UP)
        if not self.encodes:
            self._prefill()

    def run(self, calls: int, *, with_prefill: bool) -> None:
        """Run one round of so many timed calls."""
        self._call(_WARM_ROUND)
        self.call_ms += self._call(calls)
        if with_prefill and not self.encodes:
            self.prefill_s.append(self._prefill())

    def _call(self, calls: int) -> list[float]:
        """Return the milliseconds that each call took."""
        taken = []
        for _ in range(calls):
            inputs = self._inputs(next(self._place))
            began = time.perf_counter()
            if self.encodes:
                self._session.encode(inputs)
            else:
                _, self._state = self._session.step(inputs, self._state)
            taken.append((time.perf_counter() - began) * 1e3)
        return taken

    def _prefill(self) -> float:
        """Return the seconds that a prefill from the first state took."""
        session, state = self._session, self._first_state
        calls = list(self._prefill_calls())
        began = time.perf_counter()
        for inputs in calls:
            _, state = session.step({**inputs, **self._contexts}, state)
        return time.perf_counter() - began

    def _prefill_calls(self) -> Iterator[Arrays]:
        """Yield the inputs of each call of a prefill: one call where the file's time is open and
        every input lies along it, else one a step.
        """
        session = self._session
        steps = [self._fresh(place) for place in range(PREFILL_TOKENS)]
        times = {tensor.name: tensor.axis(TIME) for tensor in session.spec.fresh_inputs}
        if session.file_contract.axis_size(TIME) or None in times.values():
            yield from steps
            return
        width = prefill_width(session)
        for at in range(0, PREFILL_TOKENS, width):
            yield {
                name: np.concatenate([step[name] for step in steps[at : at + width]], axis=axis)
                for name, axis in times.items()
            }

    def _inputs(self, place: int) -> Arrays:
        return {**self._fresh(place), **self._contexts}

    def _fresh(self, place: int) -> Arrays:
        given = self._feed.call(self._feed.encode if self.encodes else self._feed.step, place)
        made = in_rows(given, self._session.spec.fresh_inputs, self.rows)
        return padded(made, self._session.file_contract) if self.encodes else made


def in_rows(arrays: Arrays, specs: Sequence[TensorSpec], rows: int) -> dict[str, np.ndarray]:
    """Return inputs of one row as those of several, all the same."""
    places = {spec.name: spec.axis(BATCH) for spec in specs}
    return {
        name: array if rows == 1 or places[name] is None else np.repeat(array, rows, places[name])
        for name, array in arrays.items()
    }
