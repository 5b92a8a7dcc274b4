"""What a reduced precision loses on held-out data, and whether that is within what the user
allows.
"""

from __future__ import annotations

import math

from edgernn.bundle.nats import perplexity_text, rise_text
from edgernn.bundle.records import LossRecord, OutputLossRecord
from edgernn.errors import ContractError, UsageError
from edgernn.export.rounding.compression import Budget
from edgernn.families.base import FEWEST
from edgernn.families.loss import TextLoss
from edgernn.families.module import OutputLoss
from edgernn.families.table import family_of
from edgernn.formats.promise import Tolerance
from edgernn.models.checkpoint import Checkpoint
from edgernn.parity.output_loss import outputs_problem
from edgernn.sessions.base import Session
from edgernn.sessions.model import Model


def measure_loss(
    loaded: Checkpoint,
    reference: Model,
    candidate: Session,
    *,
    budget: Budget,
    limit: Tolerance,
) -> LossRecord | None:
    """Let ``candidate``, a step, read the held-out sample beside the reference; None where there is
    too little to read.

    Raises:
        UsageError: a budget is given, and there is nothing to hold it to.
    """
    family, sample, contract = family_of(loaded.model.family), loaded.evaluation, candidate.contract
    if budget.cider is not None and family.writes != "captions":
        raise UsageError(
            "a largest CIDEr drop is given for a model that writes no captions; give a "
            "perplexity increase"
        )
    if not family.predicts:
        if budget != Budget():
            raise UsageError(
                f"a largest loss is given, and a {family.noun} has no perplexity; leave it out"
            )
        return None
    count = family.count(sample, contract) if sample else 0
    if count < FEWEST:
        if budget != Budget():
            raise UsageError(
                f"a largest loss is given, and the checkpoint holds {count} held-out tokens to "
                "measure it on, at least "
                f"{FEWEST} are needed; train with a validation text, or leave the "
                "largest loss out"
            )
        return None
    model = Model(candidate, reference.encode)
    loss = family.loss(reference, model, sample)
    assert isinstance(loss, TextLoss)
    scores = {}
    if budget.cider is not None:
        decoding, tokenizer = candidate.file_contract.decoding_defaults, loaded.text_tokenizer
        scores = {
            "reference_cider": family.score(reference, sample, decoding, tokenizer),
            "cider": family.score(model, sample, decoding, tokenizer),
            "allowed_cider_drop": budget.cider,
        }
    return LossRecord(
        tokens=loss.tokens,
        reference_perplexity=loss.reference_perplexity,
        perplexity=loss.perplexity,
        reference_nats=loss.reference_nats,
        nats=loss.nats,
        reference_accuracy=loss.reference_accuracy,
        accuracy=loss.accuracy,
        mean_kl=loss.mean_kl,
        top1=loss.top1,
        allowed=limit.perplexity if budget == Budget() else budget.perplexity,
        **scores,
    )


def measure_output_loss(
    loaded: Checkpoint, reference: Model, candidate: Session, *, name: str, limit: Tolerance
) -> OutputLossRecord | None:
    """Let ``candidate``, a step of a model that writes no text, read the recorded inputs beside the
    reference; None where there are too few.

    Raises:
        ContractError: ``name``, the candidate, loses more than is promised.
    """
    family, sample = family_of(loaded.model.family), loaded.evaluation
    if family.predicts or not sample:
        return None
    if family.count(sample, candidate.contract) < FEWEST:
        return None
    model = Model(candidate, reference.encode)
    loss = family.loss(reference, model, sample)
    if not isinstance(loss, OutputLoss):
        return None
    problem, words = outputs_problem(loss, reference, model, sample, family=family, limit=limit)
    if problem:
        raise ContractError(
            f"{name} on the recorded inputs: {problem}{words}; nothing was written. Use more bits "
            "or smaller blocks"
        )
    return OutputLossRecord(**loss.measured())


def refuse_loss(loss: LossRecord, name: str, *, limit: Tolerance) -> None:
    """Raise ContractError where ``loss`` is more than is allowed; says how near it came."""
    allowed = math.inf if loss.allowed is None else loss.allowed
    if allowed <= limit.perplexity and loss.mean_kl > limit.mean_kl:
        raise ContractError(
            f"{name} diverges from the reference by {loss.mean_kl:.1e} nats a token on "
            f"held-out text, and {limit.mean_kl:.0e} "
            "is allowed; nothing was written. Allow more with --max-perplexity-increase, or "
            "use more bits or smaller blocks"
        )
    if not loss.is_within(allowed):
        raise ContractError(
            f"{name} raises the perplexity of held-out text by "
            f"{rise_text(loss.increase, sign='')} (from "
            f"{perplexity_text(loss.before)} to {perplexity_text(loss.after)}), and "
            f"{allowed:.2%} is allowed; nothing was "
            "written. Allow more with "
            "--max-perplexity-increase, or use more bits or smaller blocks"
        )
    if (
        loss.cider_drop is not None
        and loss.allowed_cider_drop is not None
        and loss.cider_drop > loss.allowed_cider_drop
    ):
        raise ContractError(
            f"{name} lowers the CIDEr-D of held-out captions by {loss.cider_drop:.2%} (from "
            f"{loss.reference_cider:.4f} to "
            f"{loss.cider:.4f}), and {loss.allowed_cider_drop:.2%} is allowed; nothing was "
            "written. Allow more with "
            "--max-cider-drop, or use more bits or smaller blocks"
        )
