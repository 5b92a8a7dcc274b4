"""From logits to one token: greedy, or temperature, top-k and nucleus sampling driven by one
uniform number a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgernn.contract import Decoding
from edgernn.errors import UsageError


@dataclass(frozen=True)
class Sampler:
    """How a token is chosen.

    Attributes:
        temperature: logits are divided by it; 0 takes the most probable token.
        top_k: keep the k most probable tokens; 0 keeps all.
        top_p: keep the fewest tokens whose probabilities sum to at least this (Holtzman et al.
            2020); 1 keeps all.

    Raises:
        UsageError: a value outside its range.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise UsageError(f"temperature is {self.temperature}, expected 0 (greedy) or more")
        if self.top_k < 0:
            raise UsageError(f"top-k is {self.top_k}, expected 0 (all tokens) or more")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top-p is {self.top_p}, expected above 0 and at most 1")

    @classmethod
    def from_defaults(
        cls,
        defaults: Decoding,
        *,
        temperature: float | None,
        top_k: int | None,
        top_p: float | None,
    ) -> Sampler:
        """Take a bundle's defaults, each replaced where a value is given."""
        return cls(
            defaults.temperature if temperature is None else temperature,
            defaults.top_k if top_k is None else top_k,
            defaults.top_p if top_p is None else top_p,
        )

    def pick(self, logits: np.ndarray, uniform: float, *, suppress: Sequence[int] = ()) -> int:
        """Choose a token.

        Args:
            logits: ``[V]``, any float dtype; ties are broken by the lower id. They are not changed.
            uniform: a number in [0, 1) that decides, so that the same numbers give the same text
                everywhere.
            suppress: ids that are never chosen.
        """
        if suppress:
            logits = logits.copy()
            logits[list(suppress)] = -np.inf
        if self.temperature == 0:
            return int(np.argmax(logits))
        order, cumulative = self.shares(logits)
        chosen = int(np.searchsorted(cumulative, uniform, side="right"))
        return int(order[min(chosen, len(cumulative) - 1)])

    def shares(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how [0, 1) is shared out between the tokens that may be drawn from ``logits [V]``;
        not for temperature 0.

        Returns:
            Ids, the most probable first, int64 ``[K or more]``, and where the share of each ends,
            float64 ``[K]``, rising to exactly 1.
        """
        order = np.argsort(-logits, kind="stable")
        if self.top_k:
            order = order[: self.top_k]
        sorted_logits = logits[order].astype(np.float64)
        with np.errstate(over="ignore"):  # minus infinity is right for what is far below the best
            probabilities = np.exp((sorted_logits - sorted_logits[0]) / self.temperature)
        cumulative = np.cumsum(probabilities)
        cumulative /= cumulative[
            -1
        ]  # ends in exactly 1, so a number below 1 finds a token that has a probability
        if self.top_p < 1:
            kept = int(np.searchsorted(cumulative, self.top_p)) + 1
            cumulative = cumulative[:kept] / cumulative[min(kept, len(cumulative)) - 1]
        return order, cumulative
