"""Captioners: a picture, seen once, to the scores of each next word."""

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
from edgernn.data.pictures.caption_ids import PAD_ID, caption_text
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.captions import greedy_captions, search_caption
from edgernn.errors import UsageError
from edgernn.families.base import Family, Feed, Sample
from edgernn.families.caption_loss import measure_captions
from edgernn.families.language import ids_problem, layout_problem, step_problem
from edgernn.families.loss import TextLoss
from edgernn.families.step import CELL_STATES, HIDDEN, VOCAB, text_states, text_step
from edgernn.sessions.base import Arrays
from edgernn.sessions.draw import random_inputs, random_pictures
from edgernn.sessions.model import Model
from edgernn.wording import expected_one_of

CONDITIONINGS = ("soft-attention", "hard-attention", "first-token", "initial-state", "every-step")
IMAGE, REGIONS = "image", "regions"
FEATURES, FEATURE_KEYS = "features", "feature_keys"
IMAGE_GATES, ATTENTION = "image_gates", "attention"
CAPTIONS = "captions"  # of a held-out sample: the references of its pictures
_FEATURE_WIDTH, _KEY_WIDTH, _GATES = "feature_width", "key_width", "gates"
_CALIBRATION, _FEWEST_CALIBRATION = 64, 8  # pictures; more of them change nothing worth the time
_BEAM, _BEAM_PICTURES = 3, 32
_RANDOM_TOKENS, _RANDOM_IMAGES = 4096, 4


class CaptionerFamily(Family):
    """A captioner. Its held-out sample is ``image [N, S, S, 3]`` uint8 and the references
    ``captions [N, K, T]`` int64, each from <start> to <end>, then padded.
    """

    word = "captioner"
    model = "edgernn.models.captioner:Captioner"
    noun = "image captioner"
    layout = "image uint8 [N, S, S, 3] and captions int64 [N, K, T]"
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
        return step_problem(contract) or _encode_problem(contract.encode, contract.sizes)

    def writes_with(self, contract: Contract) -> bool:
        """See ``Family.writes_with``."""
        return not self.problem(contract)

    def sample_problem(self, sample: Sample, contract: Contract) -> str:
        """See ``Family.sample_problem``."""
        wanted = {IMAGE: ("uint8", 4), CAPTIONS: ("int64", 3)}
        if problem := layout_problem(sample, wanted, self.layout):
            return problem
        images, captions = sample[IMAGE], sample[CAPTIONS]
        if len(images) != len(captions) or not captions.shape[1]:
            return (
                f"captions int64 {list(captions.shape)}, image uint8 {list(images.shape)}, "
                f"expected {self.layout}"
            )
        side = (contract.sizes[HEIGHT], contract.sizes[WIDTH], 3)
        if images.shape[1:] != side:
            return f"pictures of {list(images.shape[1:])}, expected {list(side)}"
        return ids_problem(captions, contract)

    def count(self, sample: Sample, contract: Contract) -> int:
        """See ``Family.count``."""
        return int((sample[CAPTIONS][:, 0] != PAD_ID).sum())

    def read(self, sample: Sample | None) -> np.ndarray | None:
        """See ``Family.read``."""
        return None if sample is None else sample[IMAGE]

    def spared(self, sample: Sample, contract: Contract) -> Sample | None:
        """See ``Family.spared``."""
        if len(sample[IMAGE]) < 2 * _FEWEST_CALIBRATION:
            return None
        count = min(_CALIBRATION, len(sample[IMAGE]) // 2)
        return {name: array[-count:] for name, array in sample.items()}

    def calls(self, model: Model, sample: Sample) -> Iterator[Arrays]:
        """See ``Family.calls``: one word of every picture a call, all in one batch."""
        captions = sample[CAPTIONS][:, 0]  # [N, T]
        contexts, state = model.look(sample[IMAGE])
        ids, longest = model.step.spec.text_ids.name, int((captions != PAD_ID).sum(1).max())
        for t in range(longest - 1):
            inputs = {ids: captions[:, t : t + 1], **contexts}
            yield {**inputs, **state}
            _, state = model.step(inputs, state)

    def loss(self, reference: Model, candidate: Model, sample: Sample) -> TextLoss:
        """See ``Family.loss``."""
        return measure_captions(reference, candidate, sample[IMAGE], sample[CAPTIONS][:, 0])

    def written(self, model: Model, sample: Sample, decoding: Decoding) -> dict[str, list[int]]:
        """See ``Family.written``: greedy captions of all pictures, those of a beam search of the
        first.
        """
        images = sample[IMAGE]
        made = {
            f"greedy caption of picture {index}": caption
            for index, caption in enumerate(greedy_captions(model, images, decoding))
        }
        for index in range(min(len(images), _BEAM_PICTURES)):
            found = search_caption(model, images[index : index + 1], decoding, beam=_BEAM)
            made[f"beam-{_BEAM} caption of picture {index}"] = list(found.tokens)
        return made

    def score(
        self, model: Model, sample: Sample, decoding: Decoding, tokenizer: Tokenizer
    ) -> float | None:
        """See ``Family.score``."""
        from edgernn.families.caption_scores import score_captions

        greedy = greedy_captions(model, sample[IMAGE], decoding)
        written = [caption_text(tokenizer, ids) for ids in greedy]
        references = [
            [caption_text(tokenizer, ids) for ids in texts if (ids != PAD_ID).any()]
            for texts in sample[CAPTIONS]
        ]
        return score_captions(written, references)["cider_d"]

    def feed(self, contract: Contract, sample: Sample | None, *, seed: int) -> Feed:
        """See ``Family.feed``."""
        source = "the bundle's held-out pictures and captions"
        if sample is not None:
            images, captions = sample[IMAGE], sample[CAPTIONS]
            tokens = captions[captions != PAD_ID]
        else:
            drawn = random_inputs(contract, batch=1, steps=_RANDOM_TOKENS, seed=seed)
            seen = random_pictures(contract, batch=1, count=_RANDOM_IMAGES, seed=seed)
            tokens, images = drawn[contract.step.text_ids.name][0], seen[IMAGE][0]
            source = f"random tokens and pictures, seed {seed}"
        ids = contract.step.text_ids.name
        return Feed({IMAGE: images[:, None]}, {ids: tokens[:, None, None]}, source)


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


def _encode_problem(encode: GraphSpec, sizes: Mapping[str, int]) -> str:
    image = [(t.name, t.dtype, t.axes) for t in encode.inputs]
    if image != [(IMAGE, "uint8", (BATCH, HEIGHT, WIDTH, CHANNELS))]:
        return (
            f"encode takes {[t.name for t in encode.inputs]}, expected image [batch, height, "
            "width, channels], uint8"
        )
    height, width, channels, time = (sizes.get(n) for n in (HEIGHT, WIDTH, CHANNELS, TIME))
    if height != width or channels != 3 or time != 1:
        return (
            f"a picture is {height}x{width}x{channels} and a step {time} words, expected a square "
            "of 3 channels and 1 word"
        )
    return ""
