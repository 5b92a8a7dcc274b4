"""Whether outputs of a model that writes no text lose more than is promised; for verify and export
alike.
"""

from __future__ import annotations

from dataclasses import replace

from edgernn.families.base import Family, Sample
from edgernn.families.module import OutputLoss
from edgernn.formats.promise import Tolerance
from edgernn.parity import reordered
from edgernn.sessions.model import Model


def outputs_problem(
    loss: OutputLoss,
    reference: Model,
    candidate: Model,
    sample: Sample,
    *,
    family: Family,
    limit: Tolerance,
) -> tuple[str, str]:
    """Say how outputs lose more than ``limit``, empty where they do not; and in words how it was
    judged.

    Weights rounded to integers make another network: where its chained run goes further than is
    promised of a step, its steps are measured, each from the reference's state. So is a run in
    which the reference parts from itself about as far.
    """
    judged, words = loss, ""
    if not _outputs_keep(loss, limit):
        judged, words = _outputs_led(loss, reference, candidate, sample, family=family, limit=limit)
    if judged.mean_kl is not None and judged.top1 is not None:
        words = f"; KL mean {judged.mean_kl:.1e}, top-1 {judged.top1:.2%}{words}"
    if _outputs_keep(judged, limit):
        return "", words
    most = f"{judged.output} is {judged.error:.1e} off, {limit.rollout:g} is promised"
    if judged.error <= limit.rollout:
        most = (
            f"the scores diverge by {judged.mean_kl:.1e} nats a step (at most "
            f"{limit.mean_kl:.0e}) with top-1 {judged.top1:.2%} (at least {limit.top1:.1%})"
        )
    return most, words


def _outputs_keep(loss: OutputLoss, limit: Tolerance) -> bool:
    if not loss.error <= limit.rollout:
        return False
    if loss.mean_kl is None or loss.top1 is None:
        return True
    fewest = min(limit.top1, 1 - 1 / loss.steps)  # one may turn in any sample, however small
    return loss.mean_kl <= limit.mean_kl and loss.top1 >= fewest


def _outputs_led(
    loss: OutputLoss,
    reference: Model,
    candidate: Model,
    sample: Sample,
    *,
    family: Family,
    limit: Tolerance,
) -> tuple[OutputLoss, str]:
    """Measure again step by step from the reference's state, where that is right; scores of
    rounded weights stay those of the chained run, which is what is promised of them.
    """
    judge, encode = reference.step, reference.encode
    words = ", judged step by step from the reference's state"
    if not limit.forced:
        other = Model(reordered.Reordered(judge, half=limit.half), encode)
        own = family.loss(reference, other, sample)
        assert isinstance(own, OutputLoss)
        if not reordered.parts_as_far(own.error, loss.error):
            return loss, ""
        words = reordered.chaotic_words([own.error], "run", "judged step by step from its state")
    led = Model(reordered.Forced(judge, judge), encode)
    steps = Model(reordered.Forced(judge, candidate.step), candidate.encode)
    found = family.loss(led, steps, sample)
    assert isinstance(found, OutputLoss)
    if limit.forced:
        found = replace(found, mean_kl=loss.mean_kl, top1=loss.top1)
        words = f"; {found.output} of a step {found.error:.1e} off{words}"
    return found, words
