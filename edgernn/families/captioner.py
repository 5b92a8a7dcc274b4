"""Captioners: a picture, or features of one, seen once, to the scores of each next word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np

from edgernn.contract import (
    BATCH,
    CHANNELS,
    ENCODE,
    HEIGHT,
    LAYERS,
    TIME,
    WIDTH,
    Contract,
    Decoding,
    GraphSpec,
    TensorSpec,
)
from edgernn.data.pictures.caption_ids import caption_text
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.captions import greedy_captions, search_caption
from edgernn.errors import UsageError
from edgernn.families.base import Family, Feed, Sample
from edgernn.families.caption_loss import measure_captions
from edgernn.families.caption_rows import fed, lengths
from edgernn.families.caption_sample import CAPTIONS, encode_problem, seen_of, seen_problem
from edgernn.families.language import ids_problem, step_problem
from edgernn.families.loss import TextLoss
from edgernn.families.step import CELL_STATES, HIDDEN, VOCAB, text_states, text_step
from edgernn.sessions.base import Arrays
from edgernn.sessions.draw import random_inputs, random_pictures
from edgernn.sessions.model import Model, rows_of
from edgernn.wording import expected_one_of

CONDITIONINGS = ("soft-attention", "hard-attention", "first-token", "initial-state", "every-step")
IMAGE, REGIONS = "image", "regions"
FEATURES, FEATURE_KEYS = "features", "feature_keys"
IMAGE_GATES, ATTENTION = "image_gates", "attention"
_FEATURE_WIDTH, _KEY_WIDTH, _GATES = "feature_width", "key_width", "gates"
_CALIBRATION, _FEWEST_CALIBRATION = 64, 8  # pictures; more of them change nothing worth the time
_BEAM, _BEAM_PICTURES = 3, 32
_RANDOM_TOKENS, _RANDOM_IMAGES = 4096, 4
_DRAWN = 16  # pictures' features, where there is no sample


class CaptionerFamily(Family):
    """A captioner. Its held-out sample is what encode sees, ``image [N, S, S, 3]`` uint8 or
    features by their own names, each ``[N, …]``, and the references ``captions [N, K, T]`` int64,
    each from the first id that is fed to the end's, then padded; see ``caption_rows``.
    """

    word = "captioner"
    model = "edgernn.models.captioner:Captioner"
    noun = "image captioner"
    layout = "image uint8 [N, S, S, 3] and captions int64 [N, K, T]"
    predicts = True
    writes = "captions"
    command = "caption"
    arguments = " PICTURE"
    about = "a captioner, it writes about pictures"
    task, metrics = "image-to-text", ("cider", "bleu")
    sizes: ClassVar = {"hidden": HIDDEN, "layers": LAYERS, "vocabulary": VOCAB}
    cells: ClassVar = CELL_STATES

    def problem(self, contract: Contract) -> str:
        """See ``Family.problem``."""
        if contract.encode is None:
            return "the contract has no encode graph, by which a captioner sees"
        return step_problem(contract) or encode_problem(contract.encode, contract.sizes)

    def writes_with(self, contract: Contract) -> bool:
        """See ``Family.writes_with``: pictures say what is wanted, features may be of anything."""
        return not self.problem(contract) and _sees_pictures(contract)

    def sample_problem(self, sample: Sample, contract: Contract) -> str:
        """See ``Family.sample_problem``."""
        if problem := seen_problem(sample, contract, self.layout):
            return problem
        return ids_problem(fed(sample[CAPTIONS]), contract)

    def count(self, sample: Sample, contract: Contract) -> int:
        """See ``Family.count``."""
        return int(lengths(sample[CAPTIONS][:, 0]).sum())

    def shown(self, sample: Sample | None, contract: Contract, *, seed: int) -> Sample:
        """See ``Family.shown``: features are drawn; pictures that are drawn are none."""
        if sample is not None:
            return seen_of(sample)
        if _sees_pictures(contract):
            return {}
        made = random_pictures(contract, batch=1, count=_DRAWN, seed=seed)
        return {name: array[0] for name, array in made.items()}

    def spared(self, sample: Sample, contract: Contract) -> Sample | None:
        """See ``Family.spared``."""
        if len(sample[CAPTIONS]) < 2 * _FEWEST_CALIBRATION:
            return None
        count = min(_CALIBRATION, len(sample[CAPTIONS]) // 2)
        return {name: array[-count:] for name, array in sample.items()}

    def calls(self, model: Model, sample: Sample) -> Iterator[Arrays]:
        """See ``Family.calls``: one word of every picture a call, all in one batch."""
        captions = sample[CAPTIONS][:, 0]  # [N, T]
        contexts, state = model.look(seen_of(sample))
        ids, longest = model.step.spec.text_ids.name, int(lengths(captions).max())
        for t in range(longest - 1):
            inputs = {ids: fed(captions[:, t : t + 1]), **contexts}
            yield {**inputs, **state}
            _, state = model.step(inputs, state)

    def loss(self, reference: Model, candidate: Model, sample: Sample) -> TextLoss:
        """See ``Family.loss``."""
        return measure_captions(reference, candidate, seen_of(sample), sample[CAPTIONS][:, 0])

    def written(self, model: Model, sample: Sample, decoding: Decoding) -> dict[str, list[int]]:
        """See ``Family.written``: greedy captions of all pictures, those of a beam search of the
        first.
        """
        seen = seen_of(sample)
        greedy = greedy_captions(model, seen, decoding)
        made = {f"greedy caption of picture {index}": each for index, each in enumerate(greedy)}
        for index in range(min(len(greedy), _BEAM_PICTURES)):
            row = rows_of(seen, slice(index, index + 1))
            found = search_caption(model, row, decoding, beam=_BEAM)
            made[f"beam-{_BEAM} caption of picture {index}"] = list(found.tokens)
        return made

    def score(
        self, model: Model, sample: Sample, decoding: Decoding, tokenizer: Tokenizer
    ) -> float | None:
        """See ``Family.score``."""
        from edgernn.families.caption_scores import score_captions

        greedy = greedy_captions(model, seen_of(sample), decoding)
        written = [caption_text(tokenizer, ids, decoding) for ids in greedy]
        references = [
            [
                caption_text(tokenizer, ids[: lengths(ids)], decoding)
                for ids in texts
                if lengths(ids)
            ]
            for texts in sample[CAPTIONS]
        ]
        return score_captions(written, references)["cider_d"]

    def feed(self, contract: Contract, sample: Sample | None, *, seed: int) -> Feed:
        """See ``Family.feed``."""
        ids = contract.step.text_ids.name
        if sample is not None:
            captions, seen = sample[CAPTIONS], seen_of(sample)
            words = np.arange(captions.shape[-1]) < lengths(captions)[..., None]  # [N, K, T]
            tokens = fed(captions[words])
            source = f"the bundle's held-out {_things(contract)} and captions"
        else:
            drawn = random_inputs(contract, batch=1, steps=_RANDOM_TOKENS, seed=seed)
            made = random_pictures(contract, batch=1, count=_RANDOM_IMAGES, seed=seed)
            tokens, seen = drawn[ids][0], {name: array[0] for name, array in made.items()}
            source = f"random tokens and {_things(contract)}, seed {seed}"
        return Feed(
            {name: array[:, None] for name, array in seen.items()},
            {ids: tokens[:, None, None]},
            source,
        )


def captioner_contract(
    states: tuple[str, ...],
    conditioning: str,
    *,
    layers: int,
    hidden: int,
    vocabulary: int,
    image_size: int,
    sizes: Mapping[str, int],
) -> Contract:
    """Build the contract of a captioner, whose picture goes through ``encode`` once and whose words
    through ``step``.

    ``encode`` takes ``image [B, height, width, 3]``, uint8 RGB as decoded and resized, 0 to 255,
    nothing subtracted. What it gives, and each ``step`` takes beside ``tokens [B, 1]`` and the
    states ``[L, B, H]``, depends on ``conditioning``:

    - soft-attention, hard-attention: ``features [B,R,F]``, ``feature_keys [B,R,K]``, first states;
      ``step`` also returns ``attention [B,1,R]``
    - first-token, initial-state: first states
    - every-step: ``image_gates [B,G]``, what the picture adds to every gate; first states are zeros

    Args:
        states: the names of the decoder's states.
        conditioning: one of ``CONDITIONINGS``.
        layers, hidden, vocabulary: L, H and V.
        image_size: height and width in pixels.
        sizes: the sizes that ``conditioning`` needs: with attention ``regions``, ``features`` and
            ``keys``, with every-step ``gates``.

    Raises:
        UsageError: an unknown conditioning.
    """
    if conditioning not in CONDITIONINGS:
        raise UsageError(
            f"unknown conditioning {conditioning!r}; {expected_one_of(conditioning, CONDITIONINGS)}"
        )
    contexts, read, named = _conditioned(conditioning, sizes)
    kept = text_states(states)
    starts = "zeros" if conditioning == "every-step" else ENCODE
    image = TensorSpec(
        name=IMAGE, role="input", dtype="uint8", axes=(BATCH, HEIGHT, WIDTH, CHANNELS)
    )
    encode = GraphSpec(
        name=ENCODE, inputs=(image,), outputs=(*contexts, *(kept if starts == ENCODE else ()))
    )
    picture = {HEIGHT: image_size, WIDTH: image_size, CHANNELS: 3}
    own = {TIME: 1, LAYERS: layers, HIDDEN: hidden, VOCAB: vocabulary}
    step = text_step(contexts=contexts, states=kept, read=read)
    return Contract(
        graphs=(encode, step),
        sizes={**picture, **named, **own},
        initial_state={state.name: ENCODE for state in kept if starts == ENCODE},
    )


def _conditioned(
    conditioning: str, sizes: Mapping[str, int]
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...], dict[str, int]]:
    """Return the contexts, the further outputs of ``step``, and the sizes of their axes."""
    if conditioning.endswith("attention"):
        contexts = (
            _context(FEATURES, REGIONS, _FEATURE_WIDTH),
            _context(FEATURE_KEYS, REGIONS, _KEY_WIDTH),
        )
        read = (
            TensorSpec(name=ATTENTION, role="output", dtype="float32", axes=(BATCH, TIME, REGIONS)),
        )
        return (
            contexts,
            read,
            {
                REGIONS: sizes["regions"],
                _FEATURE_WIDTH: sizes["features"],
                _KEY_WIDTH: sizes["keys"],
            },
        )
    if conditioning == "every-step":
        return (_context(IMAGE_GATES, _GATES),), (), {_GATES: sizes["gates"]}
    return (), (), {}


def _context(name: str, *axes: str) -> TensorSpec:
    return TensorSpec(name=name, role="context", dtype="float32", axes=(BATCH, *axes))


def _sees_pictures(contract: Contract) -> bool:
    return contract.encode is not None and contract.encode.unit == "picture"


def _things(contract: Contract) -> str:
    return "pictures" if _sees_pictures(contract) else "features"
