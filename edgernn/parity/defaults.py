"""What a host sees that sets nothing: a runtime whose own defaults compute in another precision on
this machine, beside the session, which sets what it must.
"""

from __future__ import annotations

from edgernn.parity import rollout
from edgernn.sessions.base import Session

_STEPS = 64


def words(session: Session, steps: int, *, seed: int) -> str:
    """Return how far a chained run on the runtime's defaults is from the session's own; nothing
    where they compute alike.
    """
    left = session.left_to_itself()
    if left is None:
        return ""
    plan = rollout.plans(session, min(steps, _STEPS), seed=seed)[0]
    worst = rollout.compare(session, left.session, plan, seed=seed, forced=False).worst
    return (
        f"; {left.words}: {worst.tensor} {worst.scaled:.1e} off over {plan.steps} "
        f"{session.spec.unit}s"
    )
