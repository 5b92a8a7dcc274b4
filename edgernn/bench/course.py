"""What ``bench`` feeds an artifact, and one artifact on its way: called again and again, its calls
timed.

What goes in is the bundle's held-out sample, else random values from a seed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import count

import numpy as np

from edgernn.bench.alone import Alone
from edgernn.bundle import Bundle
from edgernn.bundle.manifest import Artifact
from edgernn.contract import CAPTIONS, ENCODE, IMAGE, TOKENS, VOCAB
from edgernn.data.pictures.captions import PAD_ID
from edgernn.decoding.generate import prefill
from edgernn.parity.subject import Subject
from edgernn.sessions.base import Arrays, Session, State

SEED = 7
PREFILL_TOKENS = 256
_WARM_UP = 20  # calls before the first round
# and before each: other artifacts and the bandwidth's buffer have been through the caches since
_WARM_ROUND = 3
_RANDOM_TOKENS, _RANDOM_IMAGES = 4096, 4


@dataclass(frozen=True, eq=False)
class Feed:
    """What goes in.

    Attributes:
        tokens: ids in the order in which they are fed, int64 ``[N]``, from the beginning again
            after the last.
        images: pictures for an encode graph, uint8 ``[M, S, S, 3]``; None where there is no such
            graph.
        source: in words.
    """

    tokens: np.ndarray
    images: np.ndarray | None
    source: str


def feed_for(bundle: Bundle) -> Feed:
    """Return what the artifacts of ``bundle`` are fed.

    Raises:
        ContractError: the held-out sample is damaged.
    """
    sample = Subject(bundle, bundle.manifest.artifacts[0], None).sample
    if sample is None:
        return _random(bundle)
    if TOKENS in sample:
        return Feed(sample[TOKENS], None, "the bundle's held-out tokens")
    captions = sample[CAPTIONS]  # [N, K, T], padded
    return Feed(
        captions[captions != PAD_ID], sample[IMAGE], "the bundle's held-out pictures and captions"
    )


def _random(bundle: Bundle) -> Feed:
    contract = bundle.manifest.contract
    random = np.random.default_rng(SEED)
    tokens = random.integers(0, contract.sizes[VOCAB], _RANDOM_TOKENS)
    if contract.encode is None:
        return Feed(tokens, None, f"random tokens, seed {SEED}")
    (image,) = contract.encode.caller_inputs
    shape = [_RANDOM_IMAGES, *(contract.sizes[axis] for axis in image.axes[1:])]
    return Feed(
        tokens, random.integers(0, 256, shape, np.uint8), f"random tokens and pictures, seed {SEED}"
    )


class Course:
    """One opened artifact on its way: called again and again, a step with the state of the one
    before.

    Args:
        artifact: what is measured.
        session: the artifact, opened.
        feed: what goes in.
        contexts: what the encode graph gave for a picture of the feed; a step takes them.
        state: before the first step.

    Attributes:
        call_ms: of every timed call.
        prefill_s: of every timed prefill of ``PREFILL_TOKENS`` tokens.
        alone: what the process of its own said.
        baseline_bytes: the peak of one that only imported the runtime.
    """

    def __init__(
        self, artifact: Artifact, session: Session, feed: Feed, *, contexts: Arrays, state: State
    ) -> None:
        self.artifact = artifact
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
    def encodes(self) -> bool:
        """Whether it is the artifact of an encode graph."""
        return self.artifact.graph == ENCODE

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
        tokens = np.resize(
            self._feed.tokens, (1, PREFILL_TOKENS)
        )  # from the beginning again where there are fewer
        began = time.perf_counter()
        prefill(self._session, tokens, self._first_state, contexts=self._contexts)
        return time.perf_counter() - began

    def _inputs(self, place: int) -> Arrays:
        if self._feed.images is not None and self.encodes:
            row = place % len(self._feed.images)
            return {IMAGE: self._feed.images[row : row + 1]}
        at = place % len(self._feed.tokens)
        return {TOKENS: self._feed.tokens[None, at : at + 1], **self._contexts}
