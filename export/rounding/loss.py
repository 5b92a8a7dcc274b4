"""What a reduced precision loses on held-out data, and whether that is within what the user
allows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from edgernn.bundle.manifest import LossRecord
from edgernn.bundle.nats import perplexity_text, rise_text
from edgernn.contract import CAPTIONS, IMAGE, TOKENS, Decoding
from edgernn.data.pictures.captions import PAD_ID, caption_text
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.captions import greedy_captions
from edgernn.errors import ContractError, UsageError
from edgernn.export.rounding.compression import Budget
from edgernn.families.loss import measure_captions, measure_text
from edgernn.formats.promise import Tolerance
from edgernn.models.checkpoint import Checkpoint
from edgernn.sessions.base import Session
from edgernn.sessions.model import Model

FEWEST_TOKENS = 32


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
    sample = loaded.held_out
    count = (
        len(sample[TOKENS])
        if TOKENS in sample
        else int((sample[CAPTIONS][:, 0] != PAD_ID).sum())
        if sample
        else 0
    )
    if count < FEWEST_TOKENS:
        if budget != Budget():
            raise UsageError(
                f"a largest loss is given, and the checkpoint holds {count} held-out tokens to "
                "measure it on, at least "
                f"{FEWEST_TOKENS} are needed; train with a validation text, or leave the "
                "largest loss out"
            )
        return None
    model = Model(candidate, reference.encode)
    if reference.encode is None:
        if budget.cider is not None:
            raise UsageError(
                "a largest CIDEr drop is given for a model that writes no captions; give a "
                "perplexity increase"
            )
        loss = measure_text(reference.step, candidate, sample[TOKENS])
    else:
        loss = measure_captions(reference, model, sample[IMAGE], sample[CAPTIONS][:, 0])
    scores = {}
    if budget.cider is not None:
        decoding = candidate.file_contract.decoding_defaults
        scores = {
            "reference_cider": _cider(reference, sample, decoding, loaded.text_tokenizer),
            "cider": _cider(model, sample, decoding, loaded.text_tokenizer),
            "allowed_cider_drop": budget.cider,
        }
    return LossRecord(
        tokens=loss.tokens,
        reference_perplexity=loss.reference_perplexity,
        perplexity=loss.perplexity,
        reference_nats=loss.reference_nats,
        nats=loss.nats,
        mean_kl=loss.mean_kl,
        top1=loss.top1,
        allowed=limit.perplexity if budget == Budget() else budget.perplexity,
        **scores,
    )


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


def _cider(
    model: Model,
    sample: Mapping[str, np.ndarray],
    decoding: Decoding,
    tokenizer: Tokenizer,
) -> float:
    from edgernn.families.caption_scores import score_captions

    written = [
        caption_text(tokenizer, ids) for ids in greedy_captions(model, sample[IMAGE], decoding)
    ]
    references = [
        [caption_text(tokenizer, ids) for ids in texts if (ids != PAD_ID).any()]
        for texts in sample[CAPTIONS]
    ]
    return score_captions(written, references)["cider_d"]
