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

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from edgernn.bundle.nats import is_within, perplexity, relative_rise
from edgernn.bundle.summary import largest_ids
from edgernn.contract import Contract
from edgernn.errors import ContractError

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
        reference_accuracy, accuracy: share of positions where what came next, or was wanted, is the
            most probable of the reference and of the artifact.
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
    reference_accuracy: float
    accuracy: float

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
    found = np.concatenate([_compare_part(*part) for part in parts], axis=1)  # [7, N]
    reference_nats, nats, kl, *shares = found.mean(1).tolist()
    return TextLoss(found.shape[1], reference_nats, nats, kl, float(found[2].max()), *shares)


def _compare_part(p: np.ndarray, q: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return by position -log p and -log q of what came next, the divergence, whether the most
    probable agree, the overlap of the five, and whether each side's most probable came next.
    """
    with np.errstate(invalid="ignore"):  # infinities become NaN, which is refused
        log_p, log_q = log_probabilities(p), log_probabilities(q)
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
    right = [best[:, 0] == wanted for best in (best_p, best_q)]
    return np.stack([*nats, np.maximum(kl, 0), best_p[:, 0] == best_q[:, 0], overlap, *right])


def log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of ``logits [n, V]``, float64; not finite where one of a row is
    not.
    """
    shifted: np.ndarray = np.subtract(logits, logits.max(1, keepdims=True), dtype=np.float64)
    shifted -= np.log(np.exp(shifted).sum(1, keepdims=True))
    return shifted
