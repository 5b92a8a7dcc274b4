"""Models that are shown something once, through ``encode``, and write about it: a caption of a
picture, a translation of a text. They differ in what is shown alone.

A held-out sample holds what encode sees, each input ``[N, …]`` by its name, and the references,
int64 ``[N, K, T]``: K texts of each, from the first id that is fed to the end's, then padded; see
``caption_rows``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from edgernn.contract import Contract, Decoding
from edgernn.decoding.captions import greedy_captions, search_caption
from edgernn.families.base import Family, Feed, Sample
from edgernn.families.caption_loss import measure_captions
from edgernn.families.caption_rows import fed, lengths
from edgernn.families.loss import TextLoss
from edgernn.sessions.base import Arrays
from edgernn.sessions.draw import random_inputs, random_pictures
from edgernn.sessions.model import Model, rows_of

_CALIBRATION, _FEWEST_CALIBRATION = 64, 8  # rows; more of them change nothing worth the time
_BEAM, _BEAM_ROWS = 3, 32
_RANDOM_TOKENS, _RANDOM_SEEN = 4096, 4
DRAWN = 16  # rows, where there is no sample and what is drawn is as good


class SeenFamily(Family):
    """Subclasses say what is shown and what it is called.

    Attributes:
        references: what a sample calls the texts.
        text: what a text is called, in the singular.
    """

    references: ClassVar[str]
    text: ClassVar[str]
    predicts = True

    def things(self, contract: Contract) -> str:
        """Return what is shown, in the plural."""
        raise NotImplementedError

    def seen_of(self, sample: Sample) -> dict[str, np.ndarray]:
        """Return what encode sees of a held-out sample by name, each ``[N, …]``."""
        return {name: array for name, array in sample.items() if name != self.references}

    def count(self, sample: Sample, contract: Contract) -> int:
        """See ``Family.count``."""
        return int(lengths(sample[self.references][:, 0]).sum())

    def shown(self, sample: Sample | None, contract: Contract, *, seed: int) -> Sample:
        """See ``Family.shown``: what is drawn is as good as what is not."""
        return self._drawn_seen(contract, DRAWN, seed) if sample is None else self.seen_of(sample)

    def _drawn_seen(self, contract: Contract, count: int, seed: int) -> dict[str, np.ndarray]:
        made = random_pictures(contract, batch=1, count=count, seed=seed)
        return {name: array[0] for name, array in made.items()}

    def spared(self, sample: Sample, contract: Contract) -> Sample | None:
        """See ``Family.spared``."""
        rows = len(sample[self.references])
        if rows < 2 * _FEWEST_CALIBRATION:
            return None
        count = min(_CALIBRATION, rows // 2)
        return {name: array[-count:] for name, array in sample.items()}

    def calls(self, model: Model, sample: Sample) -> Iterator[Arrays]:
        """See ``Family.calls``: one id of every text a call, all in one batch."""
        texts = sample[self.references][:, 0]  # [N, T]
        contexts, state = model.look(self.seen_of(sample))
        ids, longest = model.step.spec.text_ids.name, int(lengths(texts).max())
        for t in range(longest - 1):
            inputs = {ids: fed(texts[:, t : t + 1]), **contexts}
            yield {**inputs, **state}
            _, state = model.step(inputs, state)

    def loss(self, reference: Model, candidate: Model, sample: Sample) -> TextLoss:
        """See ``Family.loss``."""
        first = sample[self.references][:, 0]
        return measure_captions(reference, candidate, self.seen_of(sample), first)

    def written(self, model: Model, sample: Sample, decoding: Decoding) -> dict[str, list[int]]:
        """See ``Family.written``: greedy texts of all rows, those of a beam search of the first."""
        seen, thing = self.seen_of(sample), self.things(model.contract).removesuffix("s")
        greedy = greedy_captions(model, seen, decoding)
        made = {f"greedy {self.text} of {thing} {at}": each for at, each in enumerate(greedy)}
        for at in range(min(len(greedy), _BEAM_ROWS)):
            row = rows_of(seen, slice(at, at + 1))
            found = search_caption(model, row, decoding, beam=_BEAM)
            made[f"beam-{_BEAM} {self.text} of {thing} {at}"] = list(found.tokens)
        return made

    def feed(self, contract: Contract, sample: Sample | None, *, seed: int) -> Feed:
        """See ``Family.feed``."""
        ids, things = contract.step.text_ids.name, self.things(contract)
        if sample is not None:
            texts, seen = sample[self.references], self.seen_of(sample)
            told = np.arange(texts.shape[-1]) < lengths(texts)[..., None]  # [N, K, T]
            tokens = fed(texts[told])
            source = f"the bundle's held-out {things} and {self.references}"
        else:
            drawn = random_inputs(contract, batch=1, steps=_RANDOM_TOKENS, seed=seed)
            tokens, seen = drawn[ids][0], self._drawn_seen(contract, _RANDOM_SEEN, seed)
            source = f"random tokens and {things}, seed {seed}"
        return Feed(
            {name: array[:, None] for name, array in seen.items()},
            {ids: tokens[:, None, None]},
            source,
        )
