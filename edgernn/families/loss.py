"""What the text loses: how much worse an artifact predicts held-out text or captions than the
reference does.

Both read the same tokens, each on its own state (teacher forcing, so that every position can be
compared):

    nats = mean of -log p(next token)        KL(P || Q) = Σ_v P(v) (log P(v) - log Q(v)), in nats

with P the reference's and Q the artifact's distribution (Kullback & Leibler 1951); the perplexity
is exp(nats).

Both are asked for a few positions at a time, which are compared and forgotten: no table of all
positions and the whole vocabulary is ever held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from edgernn.bundle.nats import is_within, perplexity, relative_rise
from edgernn.bundle.summary import largest_ids
from edgernn.contract import TIME, Contract
from edgernn.data.pictures.captions import PAD_ID
from edgernn.errors import ContractError
from edgernn.sessions.base import Session
from edgernn.sessions.model import Model

_TOP = 5
_MOST_ROWS = 64
_PART_BYTES = 4 << 20  # of float64 log-probabilities at a time: they stay in the processor's caches

Part = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TextLoss:
    """The measures over ``tokens`` predicted positions.

    Attributes:
        reference_nats, nats: mean of -log p of the reference and the artifact, in nats a token.
        mean_kl, worst_kl: KL(reference ‖ artifact) in nats per token.
        top1, top5: share of positions where the most probable token, and the set of the five,
            agree; the mean overlap of the two sets for ``top5``.
    """

    tokens: int
    reference_nats: float
    nats: float
    mean_kl: float
    worst_kl: float
    top1: float
    top5: float

    @property
    def reference_perplexity(self) -> float:
        """The reference's perplexity."""
        return perplexity(self.reference_nats)

    @property
    def perplexity(self) -> float:
        """The artifact's perplexity."""
        return perplexity(self.nats)

    @property
    def perplexity_change(self) -> float:
        """The relative change of perplexity; above 0 is worse."""
        return relative_rise(self.reference_nats, self.nats)

    def is_within(self, allowed: float, *, rounding: float) -> bool:
        """Return whether the perplexity rises by no more than ``allowed``; see
        ``nats.is_within``.
        """
        return is_within(self.reference_nats, self.nats, allowed, rounding=rounding)

    def measured(self) -> dict[str, float]:
        """Return every figure by name, for a report."""
        names = ("reference_perplexity", "perplexity", "perplexity_change")
        return {**asdict(self), **{name: getattr(self, name) for name in names}}


def measure_text(
    reference: Session, candidate: Session, tokens: np.ndarray, *, limit: int = 2048
) -> TextLoss:
    """Let both predict each next token of ``tokens``, int64 ``[N]``, N at least 2; at most
    ``limit`` positions are read.

    Raises:
        ContractError: a prediction is not finite.
    """
    tokens, rows = tokens[: limit + 1], part_rows(reference.contract)
    predicted = (text_logits(session, tokens[:-1], rows=rows) for session in (reference, candidate))
    wanted = (tokens[1:][at : at + rows] for at in range(0, len(tokens) - 1, rows))
    return compare(zip(*predicted, wanted, strict=True))


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


def part_rows(contract: Contract) -> int:
    """Return how many positions are predicted at a time, so that little memory holds their
    log-probabilities.
    """
    return min(
        _MOST_ROWS, max(1, _PART_BYTES // (np.dtype(np.float64).itemsize * contract.vocabulary))
    )


def compare(parts: Iterable[Part]) -> TextLoss:
    """Compare two predictions, part by part.

    Args:
        parts: the logits ``[n, V]`` of the reference, those of the artifact, and the tokens ``[n]``
            that came next.

    Raises:
        ContractError: a prediction is not finite.
    """
    found = np.concatenate([_compare_part(*part) for part in parts], axis=1)  # [5, N]
    reference_nats, nats, kl, top1, top5 = found.mean(1).tolist()
    return TextLoss(found.shape[1], reference_nats, nats, kl, float(found[2].max()), top1, top5)


def _compare_part(p: np.ndarray, q: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return by position -log p and -log q of what came next, the divergence, and whether the most
    probable agree.
    """
    with np.errstate(invalid="ignore"):  # infinities become NaN, which is refused
        log_p, log_q = _normalised(p), _normalised(q)
        nats = [-np.take_along_axis(log, wanted[:, None], 1)[:, 0] for log in (log_p, log_q)]
        np.subtract(log_p, log_q, out=log_q)
        np.multiply(np.exp(log_p, out=log_p), log_q, out=log_q)
        kl = log_q.sum(1)
    if not (np.isfinite(kl).all() and np.isfinite(nats).all()):
        whose = "artifact" if np.isfinite(p).all() else "reference"
        raise ContractError(
            f"the {whose} predicts numbers that are not finite on held-out text; train or "
            "export it again"
        )
    best_p, best_q = largest_ids(p, _TOP), largest_ids(q, _TOP)
    overlap = [len(np.intersect1d(a, b)) / len(a) for a, b in zip(best_p, best_q, strict=True)]
    return np.stack([*nats, np.maximum(kl, 0), best_p[:, 0] == best_q[:, 0], overlap])


def text_logits(session: Session, tokens: np.ndarray, *, rows: int) -> Iterator[np.ndarray]:
    """Yield the logits of what follows each of ``tokens``, int64 ``[N]``, from the first state on:
    ``rows`` at a time.
    """
    ids, scores = session.spec.text_ids.name, session.spec.text_scores.name
    state, time = session.initial_state(1), session.file_contract.axis_size(TIME)
    width = time or rows
    for at in range(0, len(tokens), rows):
        part = tokens[at : at + rows]
        logits = np.empty((len(part), session.contract.vocabulary), np.float32)
        for start in range(0, len(part), width):
            outputs, state = session.step({ids: part[None, start : start + width]}, state)
            logits[start : start + width] = outputs[scores][0]
        yield logits


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


def _normalised(logits: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of ``logits [n, V]``, float64; not finite where one of a row is
    not.
    """
    shifted: np.ndarray = np.subtract(logits, logits.max(1, keepdims=True), dtype=np.float64)
    shifted -= np.log(np.exp(shifted).sum(1, keepdims=True))
    return shifted
