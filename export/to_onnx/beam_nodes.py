"""How a beam search ranks in a graph: the best ways to go on, and scores normalised by length; see
``decoding.beam``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from edgernn.contract.in_graph import BEAM
from edgernn.decoding.beam import NORMALISATION
from edgernn.export.to_onnx.nodes import Scope

_FLAT = np.array([-1])


@dataclass(frozen=True)
class Offers:
    """Ways to go on, best first: the token, the beam that it would extend, and the sum of
    log-probabilities, each ``[N]``.
    """

    tokens: str
    rows: str
    sums: str


def best_offers(scope: Scope, *, logs: str, allowed: str, sums: str, most: int) -> Offers:
    """Add the ranking of every beam's ways to go on, at most ``beam`` of them left.

    Args:
        scope: where.
        logs: log-probabilities of what may come next, float64 ``[B, 1, V]``.
        allowed: its logits, minus infinity where it may not be written, ``[B, 1, V]``.
        sums: log-probabilities of the beams, float64 ``[B, 1, 1]``.
        most: how many ids may be written.
    """
    each = scope.add("Reshape", scope.add("Min", BEAM, np.array(most)), np.array([1]))
    _, ids = scope.add_many(
        "TopK", allowed, each, outputs=2, axis=-1
    )  # [B, 1, K], a beam's best by logit
    totals = scope.add(
        "Reshape", scope.add("Add", sums, scope.add("GatherElements", logs, ids, axis=-1)), _FLAT
    )
    ids = scope.add("Reshape", ids, _FLAT)
    count, beams = scope.add("Size", ids), scope.add("Size", sums)
    places = scope.add("Range", np.array(0), count, np.array(1))
    rows = scope.add("Div", places, scope.add("Div", count, beams))
    key = scope.add("Add", scope.add("Mul", ids, beams), rows)
    all_of_them = scope.add("Reshape", count, np.array([1]))
    _, by_id = scope.add_many("TopK", key, all_of_them, outputs=2, largest=0)
    kept = scope.add("Min", all_of_them, scope.add("Reshape", BEAM, np.array([1])))
    best, at = scope.add_many("TopK", scope.add("Gather", totals, by_id), kept, outputs=2)
    at = scope.add("Gather", by_id, at)
    return Offers(scope.add("Gather", ids, at), scope.add("Gather", rows, at), best)


def length_factor(scope: Scope, counted: str) -> str:
    """Return what a log-probability of ``counted`` tokens is multiplied by; see
    ``length_normalised``.
    """
    tokens = scope.add("Cast", counted, to=onnx.TensorProto.DOUBLE)
    return scope.add(
        "Pow",
        scope.add("Div", np.array(6.0), scope.add("Add", tokens, np.array(5.0))),
        np.array(NORMALISATION),
    )
