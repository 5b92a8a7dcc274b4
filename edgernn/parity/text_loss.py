"""What the text loses: how much worse an artifact predicts held-out text than the reference does.

Both read the same tokens, each on its own state (teacher forcing, so that every position can be compared):

    perplexity = exp(mean of -log p(next token))        KL(P || Q) = Σ_v P(v) (log P(v) - log Q(v)), in nats

with P the reference's and Q the artifact's distribution (Kullback & Leibler 1951).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.contract import LOGITS, TIME, TOKENS
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
    log_p, log_q = (log_probabilities(session, tokens[:-1]) for session in (reference, candidate))  # [N, V]
    if not (np.isfinite(log_p).all() and np.isfinite(log_q).all()):
        whose = "artifact" if np.isfinite(log_p).all() else "reference"
        raise ContractError(f"the {whose} predicts numbers that are not finite on held-out text; train or export it again")
    wanted = tokens[1:, None]
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
    logits = np.concatenate(parts)
    with np.errstate(invalid="ignore"):  # infinities become NaN, which ``measure_text`` refuses
        shifted = logits - logits.max(1, keepdims=True)
        normalised: np.ndarray = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return normalised
