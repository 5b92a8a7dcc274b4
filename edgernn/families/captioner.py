"""Captioners: a picture, or features of one, seen once, to the scores of each next word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

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
from edgernn.decoding.captions import greedy_captions
from edgernn.errors import UsageError
from edgernn.families.base import Sample
from edgernn.families.caption_rows import fed, lengths
from edgernn.families.caption_sample import CAPTIONS, encode_problem, seen_problem
from edgernn.families.language import ids_problem, step_problem
from edgernn.families.seen import SeenFamily
from edgernn.families.step import CELL_STATES, HIDDEN, VOCAB, text_states, text_step
from edgernn.sessions.model import Model
from edgernn.wording import expected_one_of

CONDITIONINGS = ("soft-attention", "hard-attention", "first-token", "initial-state", "every-step")
IMAGE, REGIONS = "image", "regions"
FEATURES, FEATURE_KEYS = "features", "feature_keys"
IMAGE_GATES, ATTENTION = "image_gates", "attention"
_FEATURE_WIDTH, _KEY_WIDTH, _GATES = "feature_width", "key_width", "gates"


class CaptionerFamily(SeenFamily):
    """A captioner. Its held-out sample is what encode sees, ``image [N, S, S, 3]`` uint8 or
    features by their own names, each ``[N, …]``, and the references ``captions [N, K, T]`` int64,
    each from the first id that is fed to the end's, then padded; see ``caption_rows``.
    """

    word = "captioner"
    model = "edgernn.models.captioner:Captioner"
    noun = "image captioner"
    layout = "image uint8 [N, S, S, 3] and captions int64 [N, K, T]"
    references = CAPTIONS
    text = "caption"
    writes = "captions"
    in_examples = True
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

    def things(self, contract: Contract) -> str:
        """See ``SeenFamily.things``."""
        return "pictures" if _sees_pictures(contract) else "features"

    def shown(self, sample: Sample | None, contract: Contract, *, seed: int) -> Sample:
        """See ``Family.shown``: features are drawn; pictures that are drawn are none."""
        if sample is None and _sees_pictures(contract):
            return {}
        return super().shown(sample, contract, seed=seed)

    def score(
        self, model: Model, sample: Sample, decoding: Decoding, tokenizer: Tokenizer
    ) -> float | None:
        """See ``Family.score``."""
        from edgernn.families.caption_scores import score_captions

        greedy = greedy_captions(model, self.seen_of(sample), decoding)
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
