"""How much worse a captioner predicts each next word of held-out captions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgernn.data.pictures.caption_ids import PAD_ID
from edgernn.errors import ContractError
from edgernn.families.loss import TextLoss, compare, part_rows
from edgernn.sessions.model import Model


def measure_captions(
    reference: Model,
    candidate: Model,
    images: np.ndarray,
    captions: np.ndarray,
    *,
    limit: int = 2048,
) -> TextLoss:
    """Let both predict each next word of captions; at most about ``limit`` positions are read.

    Args:
        reference, candidate: the two models, opened.
        images: uint8 ``[N, S, S, 3]``.
        captions: int64 ``[N, T]``, one of each picture, from its first token on; what follows a
            caption's end is not read.
        limit: predicted positions.

    Raises:
        ContractError: no picture has a caption, or a prediction is not finite.
    """
    count = max(1, limit // max(captions.shape[1] - 1, 1))
    said = np.flatnonzero((captions[:, 1:] != PAD_ID).any(1))[:count]
    if not len(said):
        raise ContractError(
            "the held-out sample has no caption to predict; export the bundle again"
        )
    images, captions = images[said], captions[said]
    rows = reference.rows or candidate.rows or part_rows(reference.contract)
    predicted = (
        caption_logits(model, images, captions, rows=rows) for model in (reference, candidate)
    )
    wanted = (words for _, _, words in _caption_positions(captions, rows))
    return compare(zip(*predicted, wanted, strict=True))


def caption_logits(
    model: Model, images: np.ndarray, captions: np.ndarray, *, rows: int
) -> Iterator[np.ndarray]:
    """Yield the logits of the next words of ``captions [N, T]``, ``rows`` pictures at a time and
    one word of each.
    """
    spec, at = model.step.spec, None
    for group, t, _ in _caption_positions(captions, rows):
        if at != group.start:
            at = group.start
            contexts, state = model.look(images[group])
        fed = captions[group, t : t + 1]
        outputs, state = model.step({spec.text_ids.name: fed, **contexts}, state)
        yield outputs[spec.text_scores.name][_lengths(captions[group]) > t + 1, 0]


def _caption_positions(captions: np.ndarray, rows: int) -> Iterator[tuple[slice, int, np.ndarray]]:
    """Yield the rows of a group of captions ``[N, T]``, a time t, and the words at t + 1 of those
    that go on so far.
    """
    for start in range(0, len(captions), rows):
        group = slice(start, start + rows)
        own, lengths = captions[group], _lengths(captions[group])
        for t in range(int(lengths.max()) - 1):
            yield group, t, own[lengths > t + 1, t + 1]


def _lengths(captions: np.ndarray) -> np.ndarray:
    """Return how long each row of ``captions [N, T]`` is without the padding at its end."""
    told = captions != PAD_ID
    lengths: np.ndarray = captions.shape[1] - told[:, ::-1].argmax(1)
    return lengths
