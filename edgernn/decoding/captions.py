"""From what encode sees, a picture or its features, to a caption: encode once, then one step a
word, greedy, at random or by beam search.

Everything goes over an opened model, and over states as plain data.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgernn.contract import Decoding
from edgernn.decoding.beam import Hypothesis, beam_search, length_normalised, log_softmax
from edgernn.decoding.generate import Generation, Snapshot
from edgernn.decoding.sampling import Sampler
from edgernn.errors import UsageError
from edgernn.sessions.base import Arrays
from edgernn.sessions.model import Model, rows_of

Seen = np.ndarray | Arrays  # of encode: its only input, as pictures, or its inputs by name
_ROWS = 64  # pictures encoded and decoded together where the files' batch axes are open


def search_caption(model: Model, seen: Seen, decoding: Decoding, *, beam: int = 1) -> Hypothesis:
    """Write the caption of what is ``seen``, one row (``image [1, S, S, 3]`` uint8): the best of a
    beam search; a beam of 1 is greedy.
    """
    contexts, state = model.look(seen)
    found = beam_search(
        model.step,
        state,
        contexts=contexts,
        start=decoding.start,
        width=beam,
        length=_length(decoding),
        stop=decoding.stop,
        suppress=decoding.suppress,
    )
    return found[0]


def sample_caption(
    model: Model, seen: Seen, decoding: Decoding, *, sampler: Sampler, seed: int
) -> Hypothesis:
    """Write a caption of what is ``seen``, one row, word by word at random; the same seed writes
    the same.

    What the sampler leaves out still counts in the log-probability, which is the model's own.
    """
    contexts, state = model.look(seen)
    start = Snapshot(state, np.array(decoding.start, np.int64))
    generation = Generation(
        model.step,
        start,
        sampler=sampler,
        seed=seed,
        contexts=contexts,
        suppress=decoding.suppress,
    )
    scores = model.step.spec.text_scores.name
    tokens: list[int] = []
    further: list[dict[str, np.ndarray]] = []
    total, finished = 0.0, False
    for _ in range(_length(decoding) + 1):
        token = next(generation)
        finished = token in decoding.stop
        if len(tokens) == decoding.length and not finished:
            break
        total += float(log_softmax(generation.outputs[scores])[0, token])
        further.append(
            {name: array[0] for name, array in generation.outputs.items() if name != scores}
        )
        if finished:
            break
        tokens.append(token)
    outputs = {
        name: np.stack([step[name] for step in further])[: len(tokens)] for name in further[0]
    }
    score = length_normalised(total, len(tokens) + finished)
    return Hypothesis(
        tuple(tokens), log_probability=total, score=score, finished=finished, outputs=outputs
    )


def greedy_captions(model: Model, seen: Seen, decoding: Decoding) -> list[list[int]]:
    """Write the greedy caption of each row of what is ``seen`` (``image [N, S, S, 3]`` uint8), many
    at a time where the files allow it.

    Returns:
        Token ids without the start and stop tokens, the same that ``search_caption`` writes with a
        beam of 1.
    """
    return [caption for part in _parts(model, seen) for caption in _greedy(model, part, decoding)]


def _parts(model: Model, seen: Seen) -> Iterator[Arrays]:
    named, rows = model.seen(seen), model.rows or _ROWS
    for at in range(0, len(next(iter(named.values()))), rows):
        yield rows_of(named, slice(at, at + rows))


def _greedy(model: Model, seen: Arrays, decoding: Decoding) -> list[list[int]]:
    contexts, state = model.look(seen)
    rows, spec = len(next(iter(seen.values()))), model.step.spec
    ids, scores = spec.text_ids.name, spec.text_scores.name
    for token in decoding.start:
        outputs, state = model.step({ids: np.full((rows, 1), token, np.int64), **contexts}, state)
    written: list[list[int]] = [[] for _ in range(rows)]
    going = np.ones(rows, bool)
    for _ in range(_length(decoding)):
        logits = outputs[scores][:, -1].copy()  # [B, V]
        logits[:, list(decoding.suppress)] = -np.inf
        tokens = logits.argmax(1)
        going &= ~np.isin(tokens, decoding.stop)
        for row in np.flatnonzero(going):
            written[row].append(int(tokens[row]))
        if not going.any():
            break
        outputs, state = model.step({ids: tokens[:, None], **contexts}, state)
    return written


def _length(decoding: Decoding) -> int:
    if not decoding.length:
        raise UsageError(
            "the decoding defaults say nothing of a caption's length; give the most words, 1 "
            "or more"
        )
    return decoding.length
