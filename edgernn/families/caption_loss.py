"""How much worse a captioner predicts each next word of held-out captions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgernn.errors import ContractError
from edgernn.families.caption_rows import fed, lengths
from edgernn.families.loss import TextLoss, compare, part_rows
from edgernn.sessions.base import Arrays
from edgernn.sessions.model import Model, rows_of


def measure_captions(
    reference: Model,
    candidate: Model,
    seen: np.ndarray | Arrays,
    captions: np.ndarray,
    *,
    limit: int = 2048,
) -> TextLoss:
    """Let both predict each next word of captions; at most about ``limit`` positions are read.

    Args:
        reference, candidate: the two models, opened.
        seen: what encode sees by name, each ``[N, …]``; an array is its only input.
        captions: int64 ``[N, T]``, one of each, from its first token on; what follows a caption's
            end is not read.
        limit: predicted positions.

    Raises:
        ContractError: nothing has a caption, or a prediction is not finite.
    """
    count = max(1, limit // max(captions.shape[1] - 1, 1))
    said = np.flatnonzero(lengths(captions) > 1)[:count]
    if not len(said):
        raise ContractError(
            "the held-out sample has no caption to predict; export the bundle again"
        )
    seen, captions = rows_of(reference.seen(seen), said), captions[said]
    rows = reference.rows or candidate.rows or part_rows(reference.contract)
    predicted = (
        caption_logits(model, seen, captions, rows=rows) for model in (reference, candidate)
    )
    wanted = (words for _, _, words in _caption_positions(captions, rows))
    return compare(zip(*predicted, wanted, strict=True))


def caption_logits(
    model: Model, seen: np.ndarray | Arrays, captions: np.ndarray, *, rows: int
) -> Iterator[np.ndarray]:
    """Yield the logits of the next words of ``captions [N, T]``, ``rows`` of them at a time and one
    word of each.
    """
    spec, named, at = model.step.spec, model.seen(seen), None
    for group, t, _ in _caption_positions(captions, rows):
        if at != group.start:
            at = group.start
            contexts, state = model.look(rows_of(named, group))
        ids = fed(captions[group, t : t + 1])
        outputs, state = model.step({spec.text_ids.name: ids, **contexts}, state)
        yield outputs[spec.text_scores.name][lengths(captions[group]) > t + 1, 0]


def _caption_positions(captions: np.ndarray, rows: int) -> Iterator[tuple[slice, int, np.ndarray]]:
    """Yield the rows of a group of captions ``[N, T]``, a time t, and the words at t + 1 of those
    that go on so far.
    """
    for start in range(0, len(captions), rows):
        group = slice(start, start + rows)
        own, long = captions[group], lengths(captions[group])
        for t in range(int(long.max()) - 1):
            yield group, t, own[long > t + 1, t + 1]
