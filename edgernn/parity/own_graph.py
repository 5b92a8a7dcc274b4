"""Whether generated integers compute what the graph beside them says: the same steps in another
runtime, from the same states.

The graph has the same rounded weights, so what is left is the rounding of activations: with 16 bits
a hundred times less than what rounded weights are off from the reference. A scale, a lane or a bit
that a kernel has wrong, and that a tolerance for rounded weights hides, shows here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgernn import formats
from edgernn.bundle.records import Artifact
from edgernn.contract import STEP
from edgernn.errors import UnavailableError
from edgernn.formats import promised
from edgernn.parity import reordered
from edgernn.parity.report.data import Check
from edgernn.sessions.base import Session

if TYPE_CHECKING:
    from edgernn.parity.subject import Subject

NAME = "graph"
_STEPS = 64


def has_own_graph(artifact: Artifact) -> bool:
    """Return whether the artifact is judged by its own graph."""
    promise = promised(artifact.format, artifact.precision)
    return artifact.graph == STEP and promise is not None and promise.own_graph is not None


def check(subject: Subject) -> Check:
    """Run the steps of chained runs in both, each from the graph's state."""
    artifact, bundle, session = subject.artifact, subject.bundle, subject.session
    row, bound = formats.by_name(artifact.format), subject.promised.own_graph
    if row.own_graph is None or bound is None:
        raise UnavailableError(f"{row.name} has no graph of its own")
    opening = formats.resolve(row.own_graph, needed_for="reading c", extra=row.run_extra)
    graph: Session = opening(
        bundle.path(artifact.path), bundle.file_contract(artifact), session.first_state
    )
    limit = replace(subject.promised, rollout=bound, forced=True)
    steps = min(subject.steps, _STEPS)
    runs = reordered.rollouts(graph, session, steps, limit=limit, seed=subject.seed)
    worst = max((drift for run in runs for drift in run.drifts), key=lambda drift: drift.scaled)
    return Check(
        name=NAME,
        status="passed" if worst.scaled <= bound else "failed",
        detail=(
            f"{steps} {session.spec.unit}s against the graph beside it in {graph.runtime}, with "
            f"activations in floats, each from the graph's state, relative error; worst "
            f"{worst.tensor} {worst.scaled:.1e} at call {worst.worst_call} (tolerance {bound:g})"
        ),
        measured={"tensor": worst.tensor, "worst_scaled": worst.scaled, "tolerance": bound},
    )
