"""What an artifact loses on held-out data, against the reference."""

from __future__ import annotations

import math

from edgernn.bundle.nats import FLOAT16_ROUNDING, FLOAT32_ROUNDING, perplexity_text, rise_text
from edgernn.families.base import FEWEST, Sample
from edgernn.families.loss import TextLoss
from edgernn.families.module import OutputLoss
from edgernn.parity import reordered
from edgernn.parity.claims import loss_problem, output_loss_problem
from edgernn.parity.output_loss import outputs_problem
from edgernn.parity.report.data import Check, Status
from edgernn.parity.subject import Subject
from edgernn.sessions.model import Model

_TIED = 1e-6  # nats: no probability is off by more than 0.0015 then (Pinsker)


def check_text(subject: Subject) -> Check:
    """What held-out text, captions or inputs lose: perplexity, KL divergence and the most probable
    tokens, or the error of outputs, against the reference.
    """
    family, contract = subject.family, subject.bundle.manifest.contract
    sample = subject.sample or family.drawn(contract, seed=subject.seed)
    if subject.reference is None or sample is None:
        lacking = "reference" if subject.reference is None else "held-out text"
        return Check(
            name="text", status="not run", detail=f"the bundle carries no {lacking} to measure on"
        )
    if (count := family.count(sample, contract)) < FEWEST:
        asked = "tokens" if family.writes else "outputs"
        detail = (
            f"what the bundle holds out has {count} {asked}, and {FEWEST} are needed to measure "
            "a loss; train with more to validate on"
        )
        return Check(name="text", status="not run", detail=detail)
    loss = family.loss(subject.reference, subject.model, sample)
    if isinstance(loss, OutputLoss):
        return _outputs(subject, loss, subject.reference, sample)
    if isinstance(loss, TextLoss):
        return _text(subject, loss, subject.reference, sample)
    return Check(name="text", status="passed", detail="", measured=loss.measured())


def _text(subject: Subject, loss: TextLoss, reference: Model, sample: Sample) -> Check:
    limit, chaotic = subject.limit, ""
    problem = loss_problem(subject, loss)
    if limit.same_text and reference.encode is None and not _keeps(subject, loss):
        loss, chaotic = _led_by_the_reference(subject, loss, reference, sample)
    at_most = f", at most {limit.perplexity:+.3%}" if math.isfinite(limit.perplexity) else ""
    most = f" (at most {limit.mean_kl:.0e})" if math.isfinite(limit.mean_kl) else ""
    least = f" (at least {limit.top1:.1%})" if limit.top1 else ""
    labels = subject.family.writes is None
    right = f"right {loss.reference_accuracy:.2%} to {loss.accuracy:.2%}, " if labels else ""
    detail = (
        f"{loss.tokens} {'targets' if labels else 'tokens'}: {right}perplexity "
        f"{perplexity_text(loss.reference_nats)} to {perplexity_text(loss.nats)} "
        f"({rise_text(loss.perplexity_change, digits=3)}{at_most}), KL mean "
        f"{loss.mean_kl:.1e}{most} "
        f"worst {loss.worst_kl:.1e}, top-1 {loss.top1:.2%}{least}, top-5 "
        f"{loss.top5:.2%}{chaotic}{subject.allowance}"
    )
    status: Status = "passed" if _keeps(subject, loss) and not problem else "failed"
    told = f"{problem}; {detail}" if problem else detail
    return Check(name="text", status=status, detail=told, measured=loss.measured())


def _outputs(subject: Subject, loss: OutputLoss, reference: Model, sample: Sample) -> Check:
    """Hold the error of outputs, and where one is scores of ids their divergence, to the promise
    and to what the manifest says of recorded inputs.
    """
    recorded = subject.sample is not None
    problems = [output_loss_problem(subject, loss)] if recorded else []
    problem, words = outputs_problem(
        loss, reference, subject.model, sample, family=subject.family, limit=subject.limit
    )
    problems = [told for told in (*problems, problem) if told]
    detail = (
        f"{loss.steps} steps of {'recorded' if recorded else 'drawn'} inputs: {loss.output} is "
        f"{loss.error:.1e} off (root mean square, relative){words}"
    )
    return Check(
        name="text",
        status="failed" if problems else "passed",
        detail="; ".join([*problems, detail]),
        measured=loss.measured(),
    )


def _keeps(subject: Subject, loss: TextLoss) -> bool:
    """Tell whether a loss keeps what the artifact's precision promises. Where no position is off by
    more than ``_TIED``, another most probable token is one of two that are as probable: an
    untrained model has many.
    """
    limit = subject.limit
    # one position may turn in any sample, however small
    fewest = min(limit.top1, 1 - 1 / loss.tokens)
    rounding = FLOAT32_ROUNDING if limit.exact else FLOAT16_ROUNDING
    within = loss.is_within(limit.perplexity, rounding=rounding)
    agrees = loss.top1 >= fewest or loss.worst_kl <= _TIED
    return within and loss.mean_kl <= limit.mean_kl and agrees


def _led_by_the_reference(
    subject: Subject, loss: TextLoss, reference: Model, sample: Sample
) -> tuple[TextLoss, str]:
    """Measure again step by step from the reference's state where that parts from itself about as
    far; else nothing new.
    """
    judge, family = reference.step, subject.family
    parted = family.loss(reference, Model(reordered.Reordered(judge)), sample)
    assert isinstance(parted, TextLoss)
    own = math.sqrt(parted.mean_kl)  # a divergence is a distance squared
    if not reordered.parts_as_far(own, math.sqrt(loss.mean_kl)):
        return loss, ""
    led, files = (Model(reordered.Forced(judge, step)) for step in (judge, subject.model.step))
    found = family.loss(led, files, sample)
    assert isinstance(found, TextLoss)
    return found, reordered.chaotic_words([own], "text", "judged step by step from its state")
