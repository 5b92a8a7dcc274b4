"""What the text loses: how much worse an artifact predicts held-out text or captions than the reference does.

Both read the same tokens, each on its own state (teacher forcing, so that every position can be compared):

    perplexity = exp(mean of -log p(next token))        KL(P || Q) = Σ_v P(v) (log P(v) - log Q(v)), in nats

with P the reference's and Q the artifact's distribution (Kullback & Leibler 1951).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.contract import BATCH, LOGITS, TIME, TOKENS
from edgernn.data.captions import PAD_ID
from edgernn.decoding.captions import CaptionSessions
from edgernn.errors import ContractError
from edgernn.sessions.base import Session

_CHUNK = 64
_TOP = 5


@dataclass(frozen=True)
class TextLoss:
    """The measures over ``tokens`` predicted positions.

    Attributes:
        reference_perplexity, perplexity: of the reference and the artifact.
        mean_kl, worst_kl: KL(reference ‖ artifact) in nats per token.
        top1, top5: share of positions where the most probable token, and the set of the five, agree; the mean overlap
            of the two sets for ``top5``.
    """

    tokens: int
    reference_perplexity: float
    perplexity: float
    mean_kl: float
    worst_kl: float
    top1: float
    top5: float

    @property
    def perplexity_change(self) -> float:
        """The relative change of perplexity; above 0 is worse."""
        return self.perplexity / self.reference_perplexity - 1


def measure_text(reference: Session, candidate: Session, tokens: np.ndarray, *, limit: int = 2048) -> TextLoss:
    """Let both predict each next token of ``tokens``, int64 ``[N]``, N at least 2; at most ``limit`` positions are read.

    Raises:
        ContractError: a prediction is not finite.
    """
    tokens = tokens[: limit + 1]
    return compare(*(log_probabilities(session, tokens[:-1]) for session in (reference, candidate)), wanted=tokens[1:])


def measure_captions(
    reference: CaptionSessions, candidate: CaptionSessions, images: np.ndarray, captions: np.ndarray, *, limit: int = 2048
) -> TextLoss:
    """Let both predict each next word of captions; at most about ``limit`` positions are read.

    Args:
        reference, candidate: the two graphs of each.
        images: uint8 ``[N, S, S, 3]``.
        captions: int64 ``[N, T]``, one of each picture, from its first token on; what follows a caption's end is not read.
        limit: predicted positions.

    Raises:
        ContractError: no picture has a caption, or a prediction is not finite.
    """
    count = max(1, limit // max(captions.shape[1] - 1, 1))
    said = np.flatnonzero((captions[:, 1:] != PAD_ID).any(1))[:count]
    if not len(said):
        raise ContractError("the held-out sample has no caption to predict; export the bundle again")
    images, captions = images[said], captions[said]
    wanted = np.concatenate([ids[1:] for ids in _unpadded(captions)])
    log_p, log_q = (caption_log_probabilities(sessions, images, captions) for sessions in (reference, candidate))
    return compare(log_p, log_q, wanted=wanted)


def compare(log_p: np.ndarray, log_q: np.ndarray, *, wanted: np.ndarray) -> TextLoss:
    """Compare two predictions, log-probabilities ``[N, V]``, of the tokens ``wanted [N]``; the first is the reference."""
    if not (np.isfinite(log_p).all() and np.isfinite(log_q).all()):
        whose = "artifact" if np.isfinite(log_p).all() else "reference"
        raise ContractError(f"the {whose} predicts numbers that are not finite on held-out text; train or export it again")
    wanted = wanted[:, None]
    kl = np.maximum((np.exp(log_p) * (log_p - log_q)).sum(1), 0)
    best_p, best_q = (np.argsort(-log, axis=1, kind="stable")[:, :_TOP] for log in (log_p, log_q))
    overlap = [len(np.intersect1d(p, q)) / len(p) for p, q in zip(best_p, best_q, strict=True)]
    return TextLoss(
        tokens=len(wanted),
        reference_perplexity=float(np.exp(-np.take_along_axis(log_p, wanted, 1).mean())),
        perplexity=float(np.exp(-np.take_along_axis(log_q, wanted, 1).mean())),
        mean_kl=float(kl.mean()),
        worst_kl=float(kl.max()),
        top1=float((best_p[:, 0] == best_q[:, 0]).mean()),
        top5=float(np.mean(overlap)),
    )


def log_probabilities(session: Session, tokens: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of what follows each of ``tokens``, float64 ``[N, V]``, from the first state on."""
    width = session.file_contract.axis_size(TIME) or _CHUNK
    state = session.initial_state(1)
    parts = []
    for at in range(0, len(tokens), width):
        outputs, state = session.step({TOKENS: tokens[None, at : at + width]}, state)
        parts.append(outputs[LOGITS][0].astype(np.float64))
    return _normalised(np.concatenate(parts))


def caption_log_probabilities(sessions: CaptionSessions, images: np.ndarray, captions: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of every next word of ``captions [N, T]``, one after the other, float64 ``[M, V]``."""
    fixed = [session.file_contract.axis_size(BATCH) for session in (sessions.encode, sessions.step)]
    rows = next((size for size in fixed if size), _CHUNK)
    parts = []
    for at in range(0, len(images), rows):
        contexts, state = sessions.look(images[at : at + rows])
        fed, made = captions[at : at + rows], []
        for t in range(fed.shape[1] - 1):
            outputs, state = sessions.step.step({TOKENS: fed[:, t : t + 1], **contexts}, state)
            made.append(outputs[LOGITS][:, 0].astype(np.float64))
        logits = np.stack(made, 1)  # [B, T - 1, V]
        parts += [row[: len(ids) - 1] for row, ids in zip(logits, _unpadded(fed), strict=True)]
    return _normalised(np.concatenate(parts))


def _unpadded(captions: np.ndarray) -> list[np.ndarray]:
    """Return each row of ``captions [N, T]`` without the padding at its end."""
    return [ids[: np.flatnonzero(ids != PAD_ID)[-1] + 1] for ids in captions]


def _normalised(logits: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # infinities become NaN, which ``compare`` refuses
        shifted = logits - logits.max(1, keepdims=True)
        normalised: np.ndarray = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return normalised
