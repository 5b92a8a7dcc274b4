"""What a format promises in one precision against the float32 reference, each number with its
reason in the row file that holds it.

The measure is the largest absolute difference of a tensor over a whole chained run, divided by the
larger of 1 and the reference's largest absolute value in that tensor: absolute for small values,
relative for large ones.

Weights rounded to 8 or 4 bits make another network, near the first: two chained runs of random text
part, and rightly so. There each step of a rollout and of the golden run starts from the reference's
state, and the measure is the root mean square of the difference over that of the reference: the
relative error of one step, which anything wired wrongly takes near 1. What a chained run loses is
measured on real text instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# rows: of a matrix that has no more, 8 bits in place of 4 cost next to no bytes, and each of the
# few numbers that it makes counts (where a pen goes, where a network looks)
NARROW = 4


@dataclass(frozen=True)
class Tolerance:
    """What one format in one precision may differ by, and why that much.

    Attributes:
        rollout: the largest scaled difference in a chained run, a replay or an invariance.
        forced: whether the rollout is the relative error of single steps from the reference's state
            instead.
        mean_kl: KL(reference ‖ artifact) on held-out text, nats per token.
        top1: the least share of positions where the most probable token agrees; 0 where rounding
            may turn nearly equal ones, whose weight is in ``mean_kl``.
        perplexity: the largest relative rise of perplexity.
        same_text: whether greedy text must be identical; reduced precision is judged by the three
            above instead.
        reason: why.
        half: whether values are rounded to float16, which is then the last bit by which two honest
            files differ.
        integers: whether the matrices of the file are integers; one that stayed float was not
            asked for.
        stored: what its matrices may be stored as, as ``StoredWeight.dtype`` says it.
        tables: what else a matrix may be stored as of which a step reads one row, or that has
            ``NARROW`` rows or fewer.
        step_only: whether the precision is offered for the step graph alone; an encode graph then
            gets the default.
        own_graph: the largest relative error of a step against the graph that the file was
            generated from, in another runtime; None where there is no such graph.
    """

    rollout: float
    mean_kl: float
    top1: float
    perplexity: float
    same_text: bool
    reason: str
    forced: bool = False
    half: bool = False
    integers: bool = False
    stored: frozenset[str] = frozenset({"float32"})
    tables: frozenset[str] = frozenset()
    step_only: bool = False
    own_graph: float | None = None

    @property
    def exact(self) -> bool:
        """Whether it loses nothing that held-out text could show."""
        return self.same_text


def in_float32(reason: str) -> Tolerance:
    """Return what float32 promises in every format: the same text, but for the last bits."""
    return Tolerance(
        rollout=1e-4, mean_kl=1e-7, top1=0.999, perplexity=1e-4, same_text=True, reason=reason
    )


def in_float16(reason: str, *, rollout: float = 0.25, mean_kl: float = 1e-4) -> Tolerance:
    """Return what weights stored in float16 promise: judged by the loss, not by the same text."""
    return Tolerance(
        rollout=rollout,
        mean_kl=mean_kl,
        top1=0.99,
        perplexity=2e-3,
        same_text=False,
        reason=reason,
        half=True,
        stored=frozenset({"float16"}),
    )


def in_integers(
    *stored: str,
    rollout: float,
    mean_kl: float,
    perplexity: float,
    reason: str,
    tables: Iterable[str] = (),
    step_only: bool = False,
    own_graph: float | None = None,
) -> Tolerance:
    """Return what weights ``stored`` as integers promise: judged by single steps, and by the
    loss.
    """
    return Tolerance(
        rollout=rollout,
        mean_kl=mean_kl,
        top1=0,
        perplexity=perplexity,
        same_text=False,
        reason=reason,
        forced=True,
        integers=True,
        stored=frozenset(stored),
        tables=frozenset(tables),
        step_only=step_only,
        own_graph=own_graph,
    )
